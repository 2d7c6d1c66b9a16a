# Makes event_risk.json: R's values for tests/test_absolute_risk.py, test_brier_over_time.py and
# test_prognostic_accuracy.py. Run in this folder: Rscript --vanilla make_event_risk.R
# Debian: r-base-core r-cran-survival r-cran-cmprsk r-cran-prodlim r-cran-riskregression r-cran-pec r-cran-jsonlite;
# lung.csv, pbc.csv, mgus.csv and tiny_survival.csv are made by make_survival.R.
suppressMessages({library(survival); library(cmprsk); library(prodlim); library(riskRegression); library(pec)
                  library(jsonlite)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
lung <- read.csv("lung.csv"); pbc <- read.csv("pbc.csv"); mgus <- read.csv("mgus.csv")
tiny <- read.csv("tiny_survival.csv")
ties <- transform(lung, days = floor(days / 60))
coarse <- transform(pbc, days = floor(days / 365))
out <- list(made_with = list(R = R.version.string, survival = as.character(packageVersion("survival")),
  cmprsk = as.character(packageVersion("cmprsk")), riskRegression = as.character(packageVersion("riskRegression")),
  pec = as.character(packageVersion("pec"))))

# --- baseline hazards and probabilities: the first six patients, by a model of all -----------------------------------
base_cox <- function(formula, data, times) {
  cox_data <<- data # survfit() looks the table up again by name
  fit <- coxph(formula, data = cox_data, ties = "efron", control = tight)
  b <- basehaz(fit, centered = FALSE)
  if (is.null(b$strata)) b$strata <- "all"
  s <- summary(survfit(fit, newdata = data[1:6, ]), times = times, extend = TRUE)
  list(baseline = data.frame(stratum = sub(".*=", "", b$strata), days = b$time, hazard = b$hazard),
       risk = if (is.matrix(s$surv)) t(1 - s$surv) else NULL)
}
lung$ecog[is.na(lung$ecog)] <- 1; ties$ecog[is.na(ties$ecog)] <- 1
out$cox_lung <- base_cox(Surv(days, event) ~ age + sex + ecog, lung, c(100, 365, 800))
out$cox_ties <- base_cox(Surv(days, event) ~ age + sex + ecog, ties, c(2, 6, 12))
strat <- coxph(Surv(days, event) ~ age + ecog + strata(sex), data = ties, control = tight)
out$cox_strata <- list(
  baseline = local({b <- basehaz(strat, centered = FALSE)
    data.frame(stratum = sub(".*=", "", b$strata), days = b$time, hazard = b$hazard)}),
  risk = t(sapply(1:6, function(i) 1 - summary(survfit(strat, newdata = ties[i, ]), times = c(2, 6, 12))$surv)))
base_crr <- function(data, x, cause, times) {
  fit <- crr(data$days, data$state, x, failcode = cause, cencode = 0, gtol = 1e-13, maxiter = 200)
  p <- predict(fit, cov1 = x[1:6, , drop = FALSE])
  at <- sapply(times, function(t) sum(p[, 1] <= t))
  list(baseline = data.frame(stratum = "all", days = fit$uftime, hazard = cumsum(fit$bfitj)),
       risk = t(rbind(0, p[, -1, drop = FALSE])[at + 1, ]))
}
m <- subset(mgus, !is.na(hgb))
out$fg_mgus <- base_crr(m, cbind(age = m$age, male = as.integer(m$sex == "male"), hgb = m$hgb), 1, c(12, 60, 240))
out$fg_mgus_cause2 <- base_crr(m, cbind(age = m$age, male = as.integer(m$sex == "male"), hgb = m$hgb), 2, c(12, 60, 240))
out$fg_ties <- base_crr(coarse, cbind(age = coarse$age, albumin = coarse$albumin), 1, c(1, 4, 9))
csc <- function(formula, data, cause, times) {
  fit <- CSC(formula, data = data, control = tight)
  predictRisk(fit, newdata = data[1:6, ], times = times, cause = cause, product.limit = FALSE)
}
out$csc_mgus <- csc(Hist(days, state) ~ age + sex + hgb, m, 1, c(12, 60, 240))
quarters <- transform(pbc, days = floor(days / 90))
out$csc_ties <- csc(Hist(days, state) ~ age + albumin, quarters, 1, c(4, 12, 30))

# --- Brier score and AUC of two made-up predictions -------------------------------------------------------------------
score <- function(formula, data, a, b, times) {
  made <- function(v, slope) outer(v, seq_along(times), function(v, k) plogis(-1.5 + 0.4 * k + slope * v))
  risks <- list(a = made(a, 1), b = made(b, 0.7))
  s <- Score(risks, formula = formula, data = data, times = times, cens.model = "km", metrics = c("auc", "brier"),
             null.model = TRUE, contrasts = list(c(2, 1)), se.fit = TRUE, conf.int = TRUE, cause = 1)
  s0 <- Score(risks, formula = formula, data = data, times = times, cens.model = "km", metrics = "brier",
              null.model = TRUE, se.fit = TRUE, cause = 1)
  d <- as.data.frame(s$AUC$contrasts)
  list(times = times, auc = as.data.frame(s$AUC$score)[, c("model", "times", "AUC", "se")],
       brier = as.data.frame(s0$Brier$score)[, c("model", "times", "Brier", "se")],
       difference = d)
}
z <- function(v) as.vector(scale(v))
p1 <- subset(pbc, TRUE)
out$score_pbc <- score(Surv(days, event) ~ 1, p1, z(log(p1$bili)), z(p1$age), c(700, 1800, 2900))
out$score_ties <- score(Surv(days, event) ~ 1, ties, z(ties$age), z(ties$ecog), c(3, 6, 9))
g <- subset(mgus, !is.na(mspike))
out$score_mgus <- score(Hist(days, state) ~ 1, g, z(g$mspike), z(g$age), c(60, 120, 240))
out$score_coarse <- score(Hist(days, state) ~ 1, coarse, z(coarse$albumin), z(coarse$age), c(2, 5, 8))
tiny2 <- transform(tiny, days = time, state = cr)
out$score_tiny <- score(Hist(days, state) ~ 1, tiny2, z(tiny2$score), z(tiny2$score2), c(2, 3))

# --- pec, and the integral by the trapezoid -----------------------------------------------------------------------------
grid <- seq(200, 3000, by = 200)
slope <- z(log(p1$bili))
surv <- 1 - outer(slope, grid, function(v, t) plogis(-3 + t / 1500 + v))
q <- pec(list(a = surv), formula = Surv(days, event) ~ 1, data = p1, cens.model = "marginal", exact = FALSE,
         times = grid, start = NULL, reference = TRUE)
err <- q$AppErr$a[match(grid, q$time)]
out$pec_pbc <- list(grid = grid, brier = err, reference = q$AppErr$Reference[match(grid, q$time)],
  integrated = sum(diff(grid) * (head(err, -1) + tail(err, -1)) / 2) / diff(range(grid)))

# --- AUC of patients who are still free only (definition (i)); timeROC is on CRAN only. With mgus2's public table,
# timeROC 0.4.1: timeROC(T, delta, marker = mspike, cause = 1, times = c(60, 120, 240), iid = TRUE) gives at 120
out$time_roc_mgus <- list(times = 120, auc = 0.6318652490052491, se = 0.036376745779266514)
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string", dataframe = "columns"), "event_risk.json")
