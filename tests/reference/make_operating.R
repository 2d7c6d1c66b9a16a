# Makes operating.json: R's values for operating points, paired thresholds, decisions and reclassification.
# Run in this folder: Rscript make_operating.R    Debian packages: r-base-core r-cran-hmisc r-cran-jsonlite
# mcnemar.test, binom.test, prop.test (Wilson) are R's own; NRI and IDI are Hmisc's improveProb. Mercaldo's variance is
# made by R's symbolic derivative D() of the logit of Bayes' rule; Newcombe's method 10 is written from the paper; the
# bootstrap draws patients one by one.
suppressMessages({library(Hmisc); library(jsonlite)})
z <- qnorm(.975)
wilson <- function(x, n) as.numeric(prop.test(x, n, correct = FALSE)$conf.int)

# PPV and NPV at a prevalence: value and logit interval; where a cell is empty, z^2/2 successes in z^2 added.
bayes <- list(ppv = quote(log(se * p / ((1 - sp) * (1 - p)))), npv = quote(log(sp * (1 - p) / ((1 - se) * p))))
at_prevalence <- function(tp, fp, tn, fn, p) {
  n1 <- tp + fn; n0 <- tn + fp; k <- if (min(tp, fp, tn, fn) == 0) z^2 else 0
  point <- list(ppv = tp / n1 * p / (tp / n1 * p + fp / n0 * (1 - p)), npv = tn / n0 * (1 - p) / (tn / n0 * (1 - p) + fn / n1 * p))
  se <- (tp + k / 2) / (n1 + k); sp <- (tn + k / 2) / (n0 + k)
  lapply(setNames(names(bayes), names(bayes)), function(w) {
    g <- function(v) eval(D(bayes[[w]], v), list(se = se, sp = sp, p = p))
    v <- g("se")^2 * se * (1 - se) / (n1 + k) + g("sp")^2 * sp * (1 - sp) / (n0 + k)
    ci <- plogis(eval(bayes[[w]], list(se = se, sp = sp, p = p)) + c(-1, 1) * z * sqrt(v))
    c(point[[w]], min(ci[1], point[[w]]), max(ci[2], point[[w]]))
  })
}
counts <- function(y, pos) c(sum(pos & y == 1), sum(pos & y == 0), sum(!pos & y == 0), sum(!pos & y == 1))
thousand <- function(y, pos) {
  k <- counts(y, pos)[c(1, 4, 3, 2)]; n <- length(y)
  lapply(k, function(x) 1000 * c(x / n, wilson(x, n)))
}
newcombe10 <- function(both, a, b, neither) {
  n <- both + a + b + neither; p1 <- (both + a) / n; p2 <- (both + b) / n
  w1 <- wilson(both + a, n); w2 <- wilson(both + b, n)
  m <- (both + a) * (b + neither) * (both + b) * (a + neither); u <- both * neither - a * b
  phi <- if (m == 0) 0 else (if (u > n / 2) u - n / 2 else if (u >= 0) 0 else u) / sqrt(m)
  side <- function(x, y) sqrt(x^2 - 2 * phi * x * y + y^2)
  c(p1 - p2, p1 - p2 - side(p1 - w1[1], w2[2] - p2), p1 - p2 + side(p2 - w2[1], w1[2] - p1))
}
mcnemar <- function(both, a, b, neither) {
  m <- matrix(c(both, b, a, neither), 2); u <- mcnemar.test(m, correct = FALSE); c <- mcnemar.test(m, correct = TRUE)
  x <- binom.test(a, a + b)$p.value; at <- dbinom(a, a + b, .5)
  list(chi2 = as.numeric(u$statistic), p = u$p.value, chi2_corrected = as.numeric(c$statistic), p_corrected = c$p.value,
       p_exact = x, p_mid = if (a == b) 1 - at / 2 else x - at)
}
paired <- function(right_a, right_b) {
  k <- c(sum(right_a & right_b), sum(right_a & !right_b), sum(!right_a & right_b), sum(!right_a & !right_b))
  list(counts = k, difference = do.call(newcombe10, as.list(k)), tests = do.call(mcnemar, as.list(k)))
}
compared <- function(y, a, b) list(sensitivity = paired(a[y == 1], b[y == 1]), specificity = paired(!a[y == 0], !b[y == 0]))

# Patients drawn one by one, both risks with them; `cell` gives a statistic of one sample.
nb <- function(y, pos, t) mean(pos & y == 1) - mean(pos & y == 0) * t / (1 - t)
boot <- function(y, a, b, t, hold, times = 20000) {
  set.seed(4); i1 <- which(y == 1); i0 <- which(y == 0)
  draws <- replicate(times, {
    k <- if (hold) c(sample(i1, replace = TRUE), sample(i0, replace = TRUE)) else sample(length(y), replace = TRUE)
    c(nb(y[k], a[k], t), nb(y[k], rep(TRUE, length(k)), t), nb(y[k], a[k], t) - nb(y[k], b[k], t))
  })
  q <- apply(draws, 1, quantile, c(.025, .975), type = 7)
  list(threshold = t, model = as.numeric(q[, 1]), all = as.numeric(q[, 2]), difference = as.numeric(q[, 3]),
       share_better = mean(draws[3, ] > 1e-12) + mean(abs(draws[3, ]) <= 1e-12) / 2)
}
improve <- function(y, old, new, cuts) {
  ci <- function(v, se) c(v, v - z * se, v + z * se)
  i <- function(a, b) improveProb(a, b, y)
  c <- i(findInterval(old, cuts) / 10, findInterval(new, cuts) / 10); f <- i(old, new)
  nri <- function(x) list(total = ci(x$nri, x$se.nri), events = ci(x$nri.ev, x$se.nri.ev), nonevents = ci(x$nri.ne, x$se.nri.ne))
  list(cuts = cuts, categorical = nri(c), continuous = nri(f), idi = ci(f$idi, f$se.idi), idi_events = f$improveSens,
       idi_nonevents = f$improveSpec)
}

# O:E with the delta method for a ratio: R's gradient of log(O / E) at the two means, and their covariance matrix.
oe <- function(y, p) {
  f <- deriv(~ log(o / e), c("o", "e")); o <- mean(y); e <- mean(p); g <- attr(eval(f), "gradient")
  se <- sqrt(as.numeric(g %*% cov(cbind(y, p)) %*% t(g)) / length(y))
  o / e * exp(c(0, -1, 1) * z * se)
}

asah <- read.csv("asah.csv"); tiny <- read.csv("tiny25.csv")
k1 <- counts(asah$y, asah$p1 >= .3); kt <- counts(tiny$y, tiny$score >= .2); k4 <- counts(tiny$y, tiny$score >= min(tiny$score[tiny$y == 1]))
out <- list(
  made_with = list(R = R.version.string, Hmisc = as.character(packageVersion("Hmisc"))),
  predictive = list(asah = list(counts = k1, at = lapply(c(.05, .15, .4), function(p) c(list(prevalence = p), do.call(at_prevalence, as.list(c(k1, p)))))),
                    tiny25 = list(counts = kt, at = lapply(c(.05, .15, .4), function(p) c(list(prevalence = p), do.call(at_prevalence, as.list(c(kt, p)))))),
                    all_found = list(counts = k4, at = lapply(c(.05, .15), function(p) c(list(prevalence = p), do.call(at_prevalence, as.list(c(k4, p)))))),
                    separated = list(counts = c(6, 0, 9, 0), at = list(c(list(prevalence = .15), at_prevalence(6, 0, 9, 0, .15))))),
  thousand = list(asah = thousand(asah$y, asah$p1 >= .3), tiny25 = thousand(tiny$y, tiny$score >= .2)),
  compared = list(asah = compared(asah$y, asah$p1 >= .3, asah$p2 >= .25), tiny25 = compared(tiny$y, tiny$score >= .3, tiny$score2 >= .3)),
  tables = lapply(list(bentur = c(1, 1, 7, 12), armitage = c(20, 12, 2, 16), equal = c(5, 4, 4, 9), none_both = c(0, 3, 8, 0), one = c(10, 1, 0, 10)),
                  function(k) list(counts = k, difference = do.call(newcombe10, as.list(k)), tests = do.call(mcnemar, as.list(k)))),
  boot = list(cohort = boot(asah$y, asah$p1 >= .2, asah$p2 >= .2, .2, FALSE), by_design = boot(asah$y, asah$p1 >= .2, asah$p2 >= .2, .2, TRUE)),
  oe = list(asah = list(p1 = oe(asah$y, asah$p1), p2 = oe(asah$y, asah$p2), wrong = oe(asah$y, plogis(.4 + .6 * qlogis(asah$p2)))),
            tiny25 = list(score = oe(tiny$y, tiny$score), score2 = oe(tiny$y, tiny$score2))),
  improve = list(asah = improve(asah$y, asah$p1, asah$p2, c(.2, .5)), tiny25 = improve(tiny$y, tiny$score, tiny$score2, c(.3, .6))))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string"), "operating.json")
