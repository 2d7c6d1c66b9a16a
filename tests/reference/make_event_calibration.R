# Makes event_calibration.json: R's values for pseudo-observations, calibration of predicted event risks and net benefit
# by a day, for tests/test_pseudo_observations.py, test_event_calibration.py and test_survival_decision.py.
# Run in this folder after make_survival.R: Rscript make_event_calibration.R
# Debian packages: r-base-core r-cran-survival r-cran-cmprsk r-cran-prodlim r-cran-geepack r-cran-riskregression r-cran-jsonlite
# The risks are made-up formulas of the covariates, so that they are wrong on purpose; the tests repeat the formulas.
suppressMessages({library(survival); library(cmprsk); library(prodlim); library(geepack); library(riskRegression); library(jsonlite)})
pdf(NULL) # plotCalibration opens a device
z <- qnorm(.975)
lung <- read.csv("lung.csv"); pbc <- read.csv("pbc.csv"); mgus <- read.csv("mgus.csv"); tiny <- read.csv("tiny_survival.csv")
tables <- list(
  lung = data.frame(days = lung$days, state = lung$event, p = plogis(.3 + .05 * (lung$age - 62) + .6 * (lung$sex == "male"))),
  ties = data.frame(days = lung$days %/% 60, state = lung$event, p = plogis(.3 + .05 * (lung$age - 62) + .6 * (lung$sex == "male"))),
  pbc = data.frame(days = pbc$days, state = pbc$state, p = plogis(-2.2 + 1.4 * log(pbc$bili))),
  mgus = data.frame(days = mgus$days, state = mgus$state, p = plogis(-2.6 + .5 * (mgus$mspike - 1)))[!is.na(mgus$mspike), ],
  tiny = data.frame(days = tiny$time, state = tiny$status, p = tiny$score),
  tiny_cr = data.frame(days = tiny$time, state = tiny$cr, p = tiny$score))
horizon <- c(lung = 365, ties = 6, pbc = 1826, mgus = 120, tiny = 3, tiny_cr = 3)
competes <- c(lung = FALSE, ties = FALSE, pbc = TRUE, mgus = TRUE, tiny = FALSE, tiny_cr = TRUE)
grid <- c(.05, .1, .2, .3, .45, .6, .8, .99)

# 1 - Kaplan-Meier or Aalen-Johansen at h, the curve carried on past its end
share <- function(d, h, comp) {
  if (!comp) return(1 - summary(survfit(Surv(days, state == 1) ~ 1, d), times = h, extend = TRUE)$surv)
  fit <- survfit(Surv(days, factor(state, 0:2)) ~ 1, d)
  k <- findInterval(h, fit$time)
  if (k == 0) 0 else fit$pstate[k, 2]
}
limits <- function(d, h, comp) {
  if (!comp) {
    s <- summary(survfit(Surv(days, state == 1) ~ 1, d, conf.type = "log-log"), times = h, extend = TRUE)
    return(list(value = 1 - s$surv, se = s$std.err, low = 1 - s$upper, high = 1 - s$lower))
  }
  if (!any(d$state == 1 & d$days <= h)) return(list(value = 0, se = 0, low = NA, high = NA))
  at <- timepoints(cuminc(d$days, d$state), h)
  f <- at$est["1 1", 1]; se <- sqrt(at$var["1 1", 1]); w <- exp(z * se / (f * log(f)))
  list(value = f, se = se, low = f^(1 / w), high = f^w)
}
jack <- function(d, h, comp) {
  whole <- share(d, h, comp); n <- nrow(d)
  n * whole - (n - 1) * sapply(seq_len(n), function(i) share(d[-i, ], h, comp))
}
by_prodlim <- function(d, h, comp) {
  fit <- prodlim(Hist(days, state) ~ 1, data = d)
  if (comp) as.numeric(jackknife(fit, times = h, cause = 1)) else 1 - as.numeric(jackknife(fit, times = h))
}
line <- function(ps, p, link) {
  x <- if (link == "cloglog") log(-log(1 - p)) else qlogis(p)
  ask <- geese.control(epsilon = 1e-13, maxit = 200)
  id <- seq_along(ps)
  large <- geese(ps ~ offset(x), id = id, scale.fix = TRUE, family = gaussian, mean.link = link, corstr = "independence", control = ask)
  both <- geese(ps ~ x, id = id, scale.fix = TRUE, family = gaussian, mean.link = link, corstr = "independence", control = ask, b = c(0, 1))
  list(intercept = unname(large$beta), intercept_se = sqrt(large$vbeta[1, 1]), joint = unname(both$beta[1]), slope = unname(both$beta[2]),
       joint_se = sqrt(both$vbeta[1, 1]), slope_se = sqrt(both$vbeta[2, 2]))
}
# the smooth curve, and its standard error from the operator of the local regression and the squared residuals
operator <- function(x0, p, span = .75) {
  dist <- abs(p - x0); q <- floor(length(p) * span + 1e-5); h <- sort(dist)[q]
  k <- ifelse(dist < h, (1 - (dist / h)^3)^3, 0); X <- cbind(1, p - x0, (p - x0)^2)
  drop(solve(t(X) %*% (k * X), t(k * X))[1, ])
}
curve <- function(ps, p) {
  fit <- fitted(loess(ps ~ p, span = .75, degree = 2, control = loess.control(surface = "direct")))
  u <- sort(unique(p)) # the curve is given at each risk, or at 51 even points between the lowest and the highest
  at <- if (length(u) <= 51) quantile(u, c(.1, .5, .9), type = 1, names = FALSE) else seq(u[1], u[length(u)], length.out = 51)[c(6, 26, 46)]
  value <- se <- numeric()
  for (x0 in at) { l <- operator(x0, p); value <- c(value, sum(l * ps)); se <- c(se, sqrt(sum(l^2 * (ps - fit)^2))) }
  gap <- abs(fit - p)
  list(ici = mean(gap), e50 = median(gap), e90 = quantile(gap, .9, names = FALSE), emax = max(gap), at = at, value = value, se = se)
}
groups <- function(d, h, comp) {
  edge <- unique(quantile(d$p, seq(0, 1, .1)))
  code <- as.integer(cut(d$p, edge, include.lowest = TRUE))
  lapply(sort(unique(code)), function(g) {
    own <- d[code == g, ]
    c(list(n = nrow(own), n_events = sum(own$state == 1 & own$days <= h), mean_predicted = mean(own$p)), limits(own, h, comp))
  })
}
benefit <- function(d, h, comp) {
  one <- function(t, p) {
    inside <- p >= t
    if (!any(inside)) return(0)
    f <- share(d[inside, ], h, comp)
    f * mean(inside) - (1 - f) * mean(inside) * t / (1 - t)
  }
  model <- sapply(grid, one, p = d$p); all <- sapply(grid, one, p = rep(1, nrow(d)))
  list(threshold = grid, model = model, all = all, avoided = 100 * (model - all) / (grid / (1 - grid)))
}
out <- lapply(names(tables), function(name) {
  d <- tables[[name]]; h <- horizon[[name]]; comp <- competes[[name]]
  ps <- jack(d, h, comp)
  keep <- seq_len(min(length(ps), 300))
  made <- list(n = nrow(d), horizon = h, n_events = sum(d$state == 1 & d$days <= h), n_competing = sum(d$state == 2 & d$days <= h),
               n_censored = sum(d$state == 0 & d$days < h), pseudo = ps[keep], pseudo_mean = mean(ps),
               prodlim = tryCatch(by_prodlim(d, h, comp)[keep], error = function(e) NULL),
               observed = limits(d, h, comp), mean_predicted = mean(d$p), benefit = benefit(d, h, comp), groups = groups(d, h, comp))
  apart <- ps / made$observed$value - d$p / mean(d$p)
  made$delta_se <- sd(apart) / sqrt(nrow(d))
  if (!startsWith(name, "tiny")) made <- c(made, list(cloglog = line(ps, d$p, "cloglog"), logit = line(ps, d$p, "logit"), curve = curve(ps, d$p)))
  made
})
names(out) <- names(tables)
# riskRegression: tenths of risk by the estimator within each, and its nearest-neighbour curve
judge <- function(name, ...) {
  d <- tables[[name]]; form <- if (competes[[name]]) Hist(days, state) ~ 1 else Surv(days, state) ~ 1
  found <- Score(list(m = d$p), formula = form, data = d, times = horizon[[name]], cause = 1, plots = "calibration", metrics = "brier", conf.int = FALSE)
  as.data.frame(plotCalibration(found, plot = FALSE, ...)$plotFrames$m)
}
for (name in c("lung", "pbc")) {
  q <- judge(name, method = "quantile", q = 10, cens.method = "local")
  out[[name]]$riskRegression <- list(predicted = q$Pred, observed = q$Obs)
  s <- judge(name, method = "nne", cens.method = "jackknife")
  at <- round(quantile(seq_len(nrow(s)), c(.1, .3, .5, .7, .9), names = FALSE))
  out[[name]]$nne <- list(predicted = s$Pred[at], observed = s$Obs[at])
}
# bootstrap of patients, plainly
set.seed(1)
boot <- function(name, t, B = 3000) {
  d <- tables[[name]]; h <- horizon[[name]]; comp <- competes[[name]]
  nb <- function(e, p) { i <- p >= t; f <- if (any(i)) share(e[i, ], h, comp) else 0; mean(i) * (f - (1 - f) * t / (1 - t)) }
  got <- replicate(B, { e <- d[sample(nrow(d), replace = TRUE), ]; m <- nb(e, e$p); a <- nb(e, rep(1, nrow(e))); c(m, a, 100 * (m - a) * (1 - t) / t) })
  q <- apply(got, 1, quantile, c(.025, .975), names = FALSE)
  list(threshold = t, model = q[, 1], all = q[, 2], avoided = q[, 3])
}
out$boot <- list(lung = boot("lung", .6), pbc = boot("pbc", .2))
out$made_with <- list(R = R.version.string, prodlim = as.character(packageVersion("prodlim")), geepack = as.character(packageVersion("geepack")),
                      riskRegression = as.character(packageVersion("riskRegression")), cmprsk = as.character(packageVersion("cmprsk")))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "null"), "event_calibration.json")
