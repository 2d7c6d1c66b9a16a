# What R says of the patients of a run: called by tests/test_real_outcomes.py with the table that it writes, and by nobody
# else. Prints key,value. Debian: r-base-core r-cran-survival r-cran-cmprsk r-cran-riskregression r-cran-prodlim
suppressMessages({library(survival); library(cmprsk); library(riskRegression); library(prodlim)})
d <- read.csv(commandArgs(trailingOnly = TRUE)[1])
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
say <- function(key, value) cat(sprintf("%s,%.15g\n", key, value))
h <- 1095
for (e in c("os", "rfs", "recurrence", "regional", "distant")) {
  d$days <- d[[paste0(e, "_days")]]; d$state <- d[[paste0(e, "_state")]]; competing <- any(d$state == 2)
  f <- coxph(Surv(days, state == 1) ~ sd_risk, d, control = tight)
  say(paste0(e, "/ph_p"), cox.zph(f, transform = "km")$table["GLOBAL", 3])
  f0 <- coxph(Surv(days, state == 1) ~ age_years + male, d, control = tight)
  f1 <- coxph(Surv(days, state == 1) ~ sd_risk + age_years + male, d, control = tight)
  cc <- concordance(f0, f1); contrast <- c(-1, 1)
  say(paste0(e, "/c_difference"), diff(cc$concordance))
  say(paste0(e, "/c_error"), sqrt(drop(t(contrast) %*% cc$var %*% contrast)))
  if (competing) {
    say(paste0(e, "/gray_p"), cuminc(d$days, d$state, d$high)$Tests["1", "pv"])
    g <- crr(d$days, d$state, cbind(d$high), failcode = 1, cencode = 0, gtol = 1e-13, maxiter = 200)
    say(paste0(e, "/shr"), exp(g$coef)); error <- sqrt(g$var[1, 1]); z <- qnorm(.975)
    say(paste0(e, "/shr_low"), exp(g$coef - z * error)); say(paste0(e, "/shr_high"), exp(g$coef + z * error))
    g <- crr(d$days, d$state, cbind(d$sd_risk), failcode = 1, cencode = 0, gtol = 1e-13, maxiter = 200)
    say(paste0(e, "/shr_sd"), g$coef)
  } else {
    t <- summary(survfit(Surv(days, state) ~ high, d), rmean = h)$table
    for (i in 1:2) { say(sprintf("%s/rmean_%d", e, i), t[i, "rmean"]); say(sprintf("%s/rmean_error_%d", e, i), t[i, "se(rmean)"]) }
  }
  form <- if (competing) Hist(days, state) ~ 1 else Surv(days, state) ~ 1
  p <- if (all(is.na(d[[paste0(e, "_told")]]))) plogis(d$sd_risk) else d[[paste0(e, "_told")]]
  s <- Score(list(risk = plogis(d$sd_risk), told = p), formula = form, data = d, times = h, cause = 1, cens.model = "km",
             metrics = c("auc", "brier"), null.model = FALSE, conf.int = TRUE, se.fit = TRUE)
  a <- as.data.frame(s$AUC$score); b <- as.data.frame(s$Brier$score)
  say(paste0(e, "/auc"), a$AUC[a$model == "risk"]); say(paste0(e, "/auc_error"), a$se[a$model == "risk"])
  say(paste0(e, "/brier"), b$Brier[b$model == "told"]); say(paste0(e, "/brier_error"), b$se[b$model == "told"])
}
