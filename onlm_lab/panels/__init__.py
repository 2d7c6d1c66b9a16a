"""Panels: a statistic, its figure, its table and its sentence, by page. The dashboards and the report both use them."""
