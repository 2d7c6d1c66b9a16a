# Makes lowess.json: R's stats::lowess as a calibration curve, and rms::val.prob. Run in this folder: Rscript make_lowess.R
# Debian packages: r-base-core r-cran-rms r-cran-jsonlite. asah.csv, tiny25.csv, centres.csv: see make_binary.R.
# ties: made up, risks shared by more patients than the local regression takes, by two thirds of them exactly, and pairs.
suppressPackageStartupMessages({library(rms); library(jsonlite)})
curve <- function(p, y, rms = TRUE) {
  s <- lowess(p, y, f = 2/3, iter = 0, delta = 0)
  fit <- approx(s, xout = p, ties = "ordered")$y; e <- abs(p - fit)
  out <- list(fit = fit, ici = mean(e), e50 = median(e), e90 = as.numeric(quantile(e, .9)), emax = max(e))
  if (rms) out$val_prob <- as.list(val.prob(p, y, pl = FALSE)[c("Eavg", "E90", "Emax")])
  out
}
made <- function(p, y) c(list(p = p, y = y), curve(p, y, rms = FALSE))
asah <- read.csv("asah.csv"); tiny <- read.csv("tiny25.csv"); centres <- read.csv("centres.csv")
out <- list(made_with = list(R = R.version.string, rms = as.character(packageVersion("rms"))),
  asah = list(p1 = curve(asah$p1, asah$y), p2 = curve(asah$p2, asah$y)),
  tiny25 = list(score = curve(tiny$score, tiny$y), score2 = curve(tiny$score2, tiny$y)),
  centres = curve(centres$risk, centres$onlm),
  ties = list(
    more = made(c(rep(.1, 20), .2, .3, .4, .5, .9), c(rep(0:1, 10), 0, 1, 0, 1, 1)),
    exact = made(c(.05, .07, rep(.1, 12), .2, .3, .4, .5), c(0, 1, rep(c(0, 0, 1), 4), 0, 1, 1, 0)),
    one_less = made(c(.05, .07, rep(.1, 11), .2, .3, .4, .5), c(0, 1, rep(c(0, 0, 1), 3), 0, 1, 0, 1, 1, 0)),
    pairs = made(rep(c(.1, .2, .25, .6), c(9, 2, 5, 3)), c(rep(0, 7), 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 0)),
    close = made(c(.2, .2 + 1e-9, .2 + 2e-9, .5, .5001, .8, .9), c(0, 1, 0, 1, 0, 1, 1)),
    two = made(c(.2, .7), c(0, 1))))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = FALSE, na = "string"), "lowess.json")
