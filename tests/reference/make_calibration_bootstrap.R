# Makes calibration_bootstrap.json: bootstrap of the distances between risk and loess curve, and of the scaled Brier score.
# Run in this folder: Rscript make_calibration_bootstrap.R   Debian packages: r-base-core r-cran-jsonlite. asah.csv: see
# make_binary.R. Patients are drawn from all, 4000 times.
library(jsonlite); set.seed(20250101)
asah <- read.csv("asah.csv")
of <- function(p, y) {
  fit <- suppressWarnings(fitted(loess(y ~ p, span = .75, degree = 2, control = loess.control(surface = "direct",
                                                                                         statistics = "approximate"))))
  e <- abs(fit - p); b <- mean((y - p)^2)
  c(ici = mean(e), e50 = median(e), e90 = as.numeric(quantile(e, .9)), emax = max(e), scaled_brier = 1 - b / (mean(y) * (1 - mean(y))))
}
boot <- function(p, y) {
  r <- replicate(4000, {i <- sample(length(y), replace = TRUE); of(p[i], y[i])})
  v <- of(p, y)
  lapply(setNames(rownames(r), rownames(r)), function(k) list(value = v[[k]], mean = mean(r[k, ]), sd = sd(r[k, ]),
    low = as.numeric(quantile(r[k, ], .025)), high = as.numeric(quantile(r[k, ], .975))))
}
out <- list(made_with = R.version.string, p1 = boot(asah$p1, asah$y), p2 = boot(asah$p2, asah$y))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE), "calibration_bootstrap.json")
