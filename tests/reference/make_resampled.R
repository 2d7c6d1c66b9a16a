# Makes resampled.json: R's values for the bootstrap, optimism, partial areas and unpaired areas. Run in this folder:
#   Rscript make_resampled.R       (a minute)
# Debian packages: r-base-core r-cran-proc r-cran-rms r-cran-jsonlite
# Where chance enters, 20,000 samples are drawn (2,000 for rms::validate); the tests allow for both sides' chance.
suppressMessages({library(pROC); library(rms); library(jsonlite)})
set.seed(7)
num <- list(epsilon = 1e-14, maxit = 100)
curve_of <- function(y, s) roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE)
asah <- read.csv("asah.csv"); tiny <- read.csv("tiny25.csv"); made <- read.csv("centres.csv")
at <- seq(0, 1, .1)

band <- function(y, s) {
  r <- curve_of(y, s)
  b <- ci.se(r, specificities = at, boot.n = 20000, boot.stratified = TRUE, progress = "none")
  list(specificity = at, low = as.numeric(b[, 1]), high = as.numeric(b[, 3]),
       sensitivity = as.numeric(coords(r, at, input = "specificity", ret = "sensitivity", transpose = FALSE)[[1]]))
}
partial <- function(y, s, range) {
  r <- curve_of(y, s)
  c(plain = as.numeric(auc(r, partial.auc = range, partial.auc.focus = "specificity")),
    corrected = suppressWarnings(as.numeric(auc(r, partial.auc = range, partial.auc.focus = "specificity", partial.auc.correct = TRUE))))
}
partials <- function(y, s) list(r90 = partial(y, s, c(1, .9)), r80 = partial(y, s, c(1, .8)), middle = partial(y, s, c(.85, .55)),
                                all = partial(y, s, c(1, 0)))
boot_area <- function(y, s) {
  r <- curve_of(y, s)
  list(ci = as.numeric(ci.auc(r, method = "bootstrap", boot.n = 20000, boot.stratified = TRUE, progress = "none"))[c(1, 3)],
       var = as.numeric(var(r, method = "bootstrap", boot.n = 20000, boot.stratified = TRUE, progress = "none")))
}
# Two groups of different patients: the normal statistic by its formula, and pROC's Welch t for the record.
between <- function(y, s, g, a, b) {
  ra <- curve_of(y[g == a], s[g == a]); rb <- curve_of(y[g == b], s[g == b])
  d <- as.numeric(auc(ra)) - as.numeric(auc(rb)); se <- sqrt(var(ra, method = "delong") + var(rb, method = "delong"))
  t <- roc.test(ra, rb, paired = FALSE, method = "delong")
  list(difference = d, z = d / se, p = 2 * pnorm(-abs(d / se)), ci = d + c(-1, 1) * qnorm(.975) * se,
       proc_d = as.numeric(t$statistic), proc_df = as.numeric(t$parameter), proc_p = as.numeric(t$p.value))
}
# Whole centres drawn with replacement: AUC, O:E and Brier by a loop.
area <- function(y, s) {k <- rank(s); m <- sum(y); n <- sum(1 - y); (sum(k[y == 1]) - m * (m + 1) / 2) / (m * n)}
parts <- split(made, made$centre)
drawn <- t(replicate(20000, {d <- do.call(rbind, parts[sample(length(parts), replace = TRUE)])
  c(area(d$onlm, d$risk), sum(d$onlm) / sum(d$risk), mean((d$onlm - d$risk)^2))}))
# The slope of weighted patients: what a bootstrap sample is. Weights written out by rule.
weights <- list(a = (seq_len(nrow(asah)) * 7) %% 4, b = (seq_len(nrow(asah)) * 5) %% 3)
slope <- sapply(weights, function(w) {
  l <- qlogis(asah$p1); suppressWarnings(coef(glm(asah$y ~ l, family = binomial, weights = w, control = num)))[[2]]})
# Drawing from all patients: Brier, O:E, slope of p2 (apparent).
n <- nrow(asah)
patients <- t(replicate(5000, {i <- sample(n, replace = TRUE); y <- asah$y[i]; p <- asah$p1[i]; l <- qlogis(p)
  c(sum(y) / sum(p), mean((y - p)^2), coef(glm(y ~ l, family = binomial))[[2]])}))
two <- function(x) list(ci = as.numeric(quantile(x, c(.025, .975))), sd = sd(x))

fit <- lrm(y ~ age + gender + s100b + wfns, data = asah, x = TRUE, y = TRUE, eps = 1e-10)
v <- rms::validate(fit, B = 2000)
out <- list(
  made_with = list(R = R.version.string, pROC = as.character(packageVersion("pROC")), rms = as.character(packageVersion("rms"))),
  band = list(asah_s100b = band(asah$y, asah$s100b), asah_p1 = band(asah$y, asah$p1), tiny25_score = band(tiny$y, tiny$score)),
  partial = list(asah_s100b = partials(asah$y, asah$s100b), asah_wfns = partials(asah$y, asah$wfns), asah_p1 = partials(asah$y, asah$p1),
                 tiny25_score = partials(tiny$y, tiny$score), reversed = partials(asah$y, 1 - asah$p1)),
  boot_area = list(asah_p1 = boot_area(asah$y, asah$p1), asah_s100b = boot_area(asah$y, asah$s100b)),
  between = list(gender = between(asah$y, asah$p1, asah$gender, "Female", "Male"),
                 sex = between(made$onlm, made$risk, made$sex, "female", "male")),
  clusters = list(auc = two(drawn[, 1]), oe_ratio = two(drawn[, 2]), brier = two(drawn[, 3])),
  patients = list(oe_ratio = two(patients[, 1]), brier = two(patients[, 2]), calibration_slope = two(patients[, 3])),
  weighted_slope = as.list(slope),
  validate = list(B = 2000, auc = list(apparent = (v["Dxy", "index.orig"] + 1) / 2, optimism = v["Dxy", "optimism"] / 2,
                                       corrected = (v["Dxy", "index.corrected"] + 1) / 2),
                  slope = list(optimism = v["Slope", "optimism"], corrected = v["Slope", "index.corrected"]),
                  brier = list(apparent = v["B", "index.orig"], optimism = v["B", "optimism"], corrected = v["B", "index.corrected"])))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string"), "resampled.json")
