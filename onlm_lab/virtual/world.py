"""The made-up world in numbers: who comes, what raises the risk of nodal metastasis, what becomes of the patients.

Frozen before any model was tuned on it. Sources of what is calibrated:
- share of N+ 15-22 % in eligible patients: registration NCT06684418 quotes 12.9-39.3 % across reports;
  21-22 % in solid tumours.
- nodal upstaging by consolidation-to-tumour ratio 1.8 % (50-75 %), 9.0 % (75-<100 %), 17.4 % (solid).
- direction of the predictors (solid diameter, ratio, CEA, SUVmax, central, younger, adenocarcinoma, spiculation,
  pleural contact): the same literature.
Coefficients and hazards themselves are invented; nothing about a real patient or treatment can be learnt from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GENERATOR_VERSION = 3


@dataclass(frozen=True)
class Scanner:
    """How one centre scans, and how it writes its files."""

    manufacturer: str
    model: str
    kernel: str
    kvp: int
    pixel_mm: float
    slice_spacing_mm: float
    slice_thickness_mm: float
    n_slices: int
    n_pixels: int
    blur_sigma_mm: float
    """Width of the kernel's point spread in the plane."""
    noise_hu: float
    noise_grain_px: float
    """Correlation length of the noise: large for a smooth kernel, small for a sharp one."""
    unsigned_pixels: bool = False
    """Stored as unsigned numbers with rescale intercept -1024 instead of signed HU."""
    feet_first: bool = False
    """Feet-first, positions descending with the instance number."""
    shuffled_instances: bool = False
    """The order of file names is not the order of instance numbers."""


SCANNERS = (
    Scanner("GE MEDICAL SYSTEMS", "LightSpeed VCT", "STANDARD", 120, 1.25, 3.0, 3.0, 56, 256, 0.75, 20.0, 0.8),
    Scanner(
        "SIEMENS", "SOMATOM Definition", "B30f", 120, 1.3, 5.0, 5.0, 40, 256, 0.85, 16.0, 1.0, shuffled_instances=True
    ),
    Scanner("Philips", "iCT 256", "B", 100, 1.4, 2.5, 2.5, 60, 256, 0.8, 28.0, 0.8, unsigned_pixels=True),
    Scanner("TOSHIBA", "Aquilion ONE", "FC13", 120, 1.2, 4.0, 4.0, 46, 256, 0.8, 24.0, 0.9, feet_first=True),
    Scanner("UIH", "uCT 780", "B_SHARP_C", 130, 1.35, 3.0, 3.5, 54, 256, 0.55, 38.0, 0.5),
)
FINE = {"pixel_mm": 0.7, "slice_spacing_mm": 1.25, "slice_thickness_mm": 1.25, "n_slices": 200, "n_pixels": 512}
"""What a few patients got instead of their centre's routine protocol: a full-size thin-section scan."""


@dataclass(frozen=True)
class World:
    """Every number of the made-up trial. Risks are log odds of N+, hazards are per year."""

    # --- who comes
    centre_solid_shift: tuple[float, ...] = (0.0, 0.07, -0.06, 0.05, -0.05)
    centre_size_shift: tuple[float, ...] = (0.0, 0.08, -0.08, 0.04, -0.03)
    centre_weight: tuple[float, ...] = (1.3, 1.1, 1.0, 0.9, 0.7)
    pure_ggo_fraction: float = 0.035
    part_solid_fraction: float = 0.21
    total_diameter_median_mm: float = 21.0
    total_diameter_log_sd: float = 0.36
    total_diameter_range_mm: tuple[float, float] = (9.0, 40.0)
    central_fraction: float = 0.16
    adenocarcinoma_fraction: float = 0.72
    sbrt_log_odds: float = -1.65
    sbrt_per_decade: float = 0.75
    sbrt_per_kps10: float = -0.85

    # --- what the table says about N+ (log odds)
    intercept: float = -5.95
    per_doubling_solid: float = 0.85
    per_ctr: float = 10.0
    per_sd_cea: float = 0.77
    per_sd_suv: float = 0.66
    central: float = 0.80
    per_decade_age: float = -0.40
    adenocarcinoma: float = 0.70

    # --- what only the image says (log odds); each sign is drawn large enough to be seen at every centre
    spiculation: float = 4.2
    necrosis: float = 1.9
    pleural_tag: float = 0.9
    lobulation: float = 0.4
    vessel_convergence: float = 0.4
    per_sd_core_hu: float = 0.25
    spiculated_fraction: float = 0.50
    necrotic_fraction: float = 0.45
    tagged_fraction: float = 0.40

    # --- what the pathologist finds
    n2_given_positive: float = 0.42
    node_detection: float = 0.35
    """Chance that one examined node shows the disease of a truly N+ patient: few nodes can miss it."""

    # --- who is planned to have adjuvant treatment after surgery; it starts late and changes nothing
    adjuvant_if_n_positive: float = 0.85
    adjuvant_if_not: float = 0.05
    adjuvant_start_days: tuple[int, int] = (30, 300)
    """First and last day on which it begins. Who relapses or dies before is never treated: immortal time, long enough
    that in some 160 N+ patients (a trial of 1,200) the treated seem protected in most trials."""

    # --- what happens then (per year; index = true N0, N1, N2)
    local: dict[str, float] = field(default_factory=lambda: {"surgery": 0.010, "sbrt": 0.030})
    regional: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {"surgery": (0.012, 0.050, 0.085), "sbrt": (0.018, 0.26, 0.34)}
    )
    distant: tuple[float, ...] = (0.022, 0.085, 0.150)
    other_death_at_65: float = 0.013
    other_death_per_decade: float = 0.80
    other_death_per_kps10: float = -0.45
    cancer_death_after_recurrence: float = 0.38
    dropout: float = 0.03
    found_together_days: int = 60
    """Restaging at a recurrence finds what would have shown itself within so many days."""
    site_unknown_fraction: float = 0.04
    data_cut_year: float = 2026.0

    # --- disorder planted on purpose: share of patients that break each rule, share of cells left blank
    violation_fraction: dict[str, float] = field(
        default_factory=lambda: {
            "nsclc_confirmed": 0.02,
            "clinical_stage_i": 0.03,
            "adult": 0.02,
            "performance_status": 0.02,
            "radical_treatment": 0.02,
            "imaging_complete": 0.09,
            "followup_agreed": 0.02,
            "consent": 0.02,
            "ct_quality": 0.025,
            "neuropsychiatric": 0.02,
            "lost_to_followup": 0.025,
        }
    )
    missing_fraction: dict[str, float] = field(
        default_factory=lambda: {
            "cea_ng_ml": 0.12,
            "kps": 0.06,
            "ecog": 0.15,
            "pack_years": 0.15,
            "smoking": 0.03,
            "histology": 0.01,
            "lobe": 0.02,
            "ct_to_treatment_days": 0.02,
            "consent": 0.01,
            "followup_agreed": 0.01,
            "ct_quality": 0.01,
            "pet_ct_done": 0.015,
            "solid_diameter_mm": 0.01,
            "central_location": 0.01,
            "neuropsychiatric_exclusion": 0.01,
            "n2_stations_examined": 0.05,
        }
    )
    neoadjuvant_fraction: float = 0.02
    stage_disagrees_fraction: float = 0.03
    no_nodes_fraction: float = 0.03
    poor_ct_noise_factor: float = 3.0
    localizer_fraction: float = 0.15
    fine_scans_max: int = 5
    fine_scan_every: int = 50
    """One full-size scan for so many patients, up to the maximum."""


WORLD = World()
