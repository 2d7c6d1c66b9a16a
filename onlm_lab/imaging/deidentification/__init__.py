"""What of DICOM's basic confidentiality profile (PS3.15, annex E) a folder still holds, and a copy of it without."""
