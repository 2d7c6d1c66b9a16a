# R's numbers for tests/test_survival.py, test_hazard.py, test_competing_risks.py, test_subdistribution.py,
# test_effect_modification.py, test_restricted_mean.py and test_prognostic_accuracy.py.
# Run in this folder: Rscript --vanilla make_survival.R   (Debian: r-base-core r-cran-survival r-cran-cmprsk)
# Writes survival_reference.csv (case, key, value; 17 digits) and the columns of the public tables that the tests use:
# lung, pbc and mgus2 come with the R package survival; tiny_survival.csv (made up: ties, 4 events) is kept beside this script.
library(survival)
library(cmprsk)
options(digits = 17)
out <- data.frame(case = character(), key = character(), value = numeric())
put <- function(case, key, value) {
  out <<- rbind(out, data.frame(case = case, key = as.character(key), value = as.numeric(value)))
}
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)

# --- tables -------------------------------------------------------------------------------------------------------
lung2 <- data.frame(
  days = lung$time, event = lung$status - 1, age = lung$age, sex = ifelse(lung$sex == 1, "male", "female"),
  ecog = lung$ph.ecog, inst = lung$inst
)
pbc2 <- pbc[!is.na(pbc$trt), ]
pbc2 <- data.frame(
  days = pbc2$time, state = c(0, 2, 1)[pbc2$status + 1], event = as.integer(pbc2$status == 2), age = pbc2$age,
  edema = pbc2$edema, bili = pbc2$bili, albumin = pbc2$albumin, protime = pbc2$protime, stage = pbc2$stage,
  trt = ifelse(pbc2$trt == 1, "Dpen", "placebo"), sex = pbc2$sex
)
bili <- data.frame(days = pbc$time, event = as.integer(pbc$status == 2), bili = pbc$bili) # all 418, for timeROC
write.csv(bili, "pbc_bili.csv", row.names = FALSE, quote = FALSE)
mgus <- data.frame(
  days = mgus2$ptime, state = ifelse(mgus2$pstat == 1, 1, ifelse(mgus2$death == 1, 2, 0)),
  age = mgus2$age, sex = ifelse(mgus2$sex == "F", "female", "male"), hgb = mgus2$hgb, mspike = mgus2$mspike
)
mgus$days[mgus$state == 2 | mgus$state == 0] <- mgus2$futime[mgus$state == 2 | mgus$state == 0]
tiny <- read.csv("tiny_survival.csv")
# heavy ties: lung's follow-up in units of 60 days, some at time zero
ties <- transform(lung2, days = floor(days / 60))
for (name in c("lung2", "pbc2", "mgus")) {
  write.csv(get(name), sub("2$", "", paste0(name)) |> paste0(".csv"), row.names = FALSE, quote = FALSE, na = "")
}

# --- Kaplan-Meier, log-rank ---------------------------------------------------------------------------------------
km <- function(case, formula, data, times) {
  fit <- survfit(formula, data = data, conf.type = "log-log")
  s <- summary(fit, times = times, extend = TRUE)
  g <- if (is.null(s$strata)) rep("all", length(s$time)) else sub(".*=", "", s$strata)
  for (v in c("surv", "lower", "upper", "n.risk")) put(case, paste(v, g, s$time, sep = ":"), s[[v]])
  q <- quantile(fit, 0.5)
  names_q <- if (is.null(fit$strata)) "all" else sub(".*=", "", names(fit$strata))
  for (v in c("quantile", "lower", "upper")) put(case, paste("median", v, names_q, sep = ":"), as.vector(q[[v]]))
  if (!is.null(fit$strata)) {
    d <- survdiff(formula, data = data)
    df <- sum(d$exp > 0) - 1
    put(case, c("chi2", "df", "p"), c(d$chisq, df, pchisq(d$chisq, df, lower.tail = FALSE)))
  }
  r <- update(formula, Surv(days, 1 - event) ~ .)
  put(case, paste("followup", names_q, sep = ":"), as.vector(quantile(survfit(r, data = data), 0.5)$quantile))
}
km("km_lung", Surv(days, event) ~ 1, lung2, c(0, 90, 180, 365, 730))
km("km_lung_sex", Surv(days, event) ~ sex, lung2, c(90, 180, 365, 730))
km("km_lung_ecog", Surv(days, event) ~ ecog, lung2, c(90, 180))
km("km_ties_sex", Surv(days, event) ~ sex, ties, 0:12)
km("km_pbc_stage", Surv(days, event) ~ stage, pbc2, c(400, 1000, 2000, 3000))
km("km_tiny", Surv(days, event) ~ group, transform(tiny, days = time, event = status), 1:5)
km("km_flat", Surv(days, event) ~ 1, data.frame(days = c(1, 2, 5, 8), event = c(1, 1, 1, 0)), c(1, 2, 5))
km("km_flat_end", Surv(days, event) ~ 1, data.frame(days = c(1, 2, 5, 8), event = c(1, 1, 0, 0)), c(1, 2, 5))

# --- Cox ----------------------------------------------------------------------------------------------------------
cox <- function(case, formula, data, zph = TRUE) {
  cox_data <<- data # concordance() looks the table up again by name
  fit <- coxph(formula, data = cox_data, ties = "efron", control = tight)
  s <- summary(fit)$coefficients
  se <- sqrt(diag(as.matrix(vcov(fit))))
  nm <- names(coef(fit))
  put(case, paste("coef", nm, sep = ":"), coef(fit))
  put(case, paste("se", nm, sep = ":"), se)
  put(case, paste("p", nm, sep = ":"), 2 * pnorm(-abs(coef(fit) / se)))
  put(case, c("loglik_null", "loglik", "n", "nevent"), c(fit$loglik, fit$n, fit$nevent))
  if (any(grepl("strata", deparse(formula)))) put(case, c("loglik_null", "loglik"), fit$loglik)
  cc <- concordance(fit)
  put(case, c("concordance", "concordance_se"), c(cc$concordance, sqrt(cc$var)))
  if (zph) {
    z <- cox.zph(fit, transform = "km")$table
    put(case, paste("zph", rownames(z), sep = ":"), z[, "chisq"])
    put(case, paste("zph_df", rownames(z), sep = ":"), z[, "df"])
    put(case, paste("zph_p", rownames(z), sep = ":"), z[, "p"])
  }
}
cox("cox_lung", Surv(days, event) ~ age + sex + ecog, lung2)
cox("cox_lung_factor", Surv(days, event) ~ age + factor(ecog), subset(lung2, ecog < 3))
cox("cox_lung_strata", Surv(days, event) ~ age + ecog + strata(sex), lung2)
cox("cox_lung_cluster", Surv(days, event) ~ age + sex + ecog + cluster(inst), subset(lung2, !is.na(inst)))
cox("cox_ties", Surv(days, event) ~ age + sex + ecog, ties)
cox("cox_ties_strata", Surv(days, event) ~ age + ecog + strata(sex), ties)
cox("cox_ties_cluster", Surv(days, event) ~ age + sex + ecog + cluster(inst), subset(ties, !is.na(inst)))
cox("cox_pbc", Surv(days, event) ~ age + edema + log(bili) + log(protime) + albumin, pbc2)
cox("cox_pbc_cause2", Surv(days, state == 2) ~ age + albumin, pbc2)
cox("cox_tiny", Surv(time, status) ~ score, tiny)

# --- competing risks ----------------------------------------------------------------------------------------------
incidence <- function(case, data, by, times) {
  group <- if (is.null(by)) rep("all", nrow(data)) else as.character(data[[by]])
  fit <- cuminc(data$days, data$state, group, cencode = 0)
  if (!is.null(fit$Tests)) {
    for (k in rownames(fit$Tests)) {
      put(case, paste(c("chi2", "p", "df"), k, sep = ":"), fit$Tests[k, c("stat", "pv", "df")])
    }
    fit$Tests <- NULL
  }
  tp <- timepoints(fit, times)
  for (curve in rownames(tp$est)) for (j in seq_along(times)) {
    key <- paste(sub(" ", ":", curve), times[j], sep = ":")
    put(case, paste("est", key, sep = ":"), tp$est[curve, j])
    put(case, paste("var", key, sep = ":"), tp$var[curve, j])
  }
}
incidence("aj_mgus_sex", mgus, "sex", c(12, 60, 120, 240))
incidence("aj_mgus", mgus, NULL, c(12, 60, 120, 240))
incidence("aj_pbc_stage", pbc2, "stage", c(400, 1000, 2000, 3000))
incidence("aj_pbc_trt", pbc2, "trt", c(400, 1000, 2000, 3000))
coarse <- transform(pbc2, days = floor(days / 365))
incidence("aj_ties_stage", coarse, "stage", 0:10)
incidence("aj_tiny", transform(tiny, days = time, state = cr), "group", 1:5)

# --- Fine-Gray ----------------------------------------------------------------------------------------------------
fine <- function(case, data, x, cause) {
  fit <- crr(data$days, data$state, x, failcode = cause, cencode = 0, gtol = 1e-12, maxiter = 100)
  put(case, paste("coef", colnames(x), sep = ":"), fit$coef)
  put(case, paste("se", colnames(x), sep = ":"), sqrt(diag(fit$var)))
  put(case, c("loglik", "loglik_null"), c(fit$loglik, fit$loglik.null))
}
m <- subset(mgus, !is.na(hgb))
fine("fg_mgus", m, cbind(age = m$age, male = as.integer(m$sex == "male"), hgb = m$hgb), 1)
fine("fg_mgus_cause2", m, cbind(age = m$age, male = as.integer(m$sex == "male"), hgb = m$hgb), 2)
fine("fg_pbc", pbc2, cbind(age = pbc2$age, albumin = pbc2$albumin), 1)
fine("fg_ties", coarse, cbind(age = coarse$age, albumin = coarse$albumin), 1)
fine("fg_ties_cause2", coarse, cbind(age = coarse$age, albumin = coarse$albumin), 2)
fine("fg_tiny", transform(tiny, days = time, state = cr), cbind(score = tiny$score), 1)

# --- interaction, restricted mean survival, Uno's C ---------------------------------------------------------------
interact <- function(case, data, adjust = "") {
  with <- coxph(as.formula(paste("Surv(days, event) ~ treatment * factor(group)", adjust)), data, control = tight)
  none <- coxph(as.formula(paste("Surv(days, event) ~ treatment + factor(group)", adjust)), data, control = tight)
  chi2 <- 2 * (with$loglik[2] - none$loglik[2])
  df <- length(coef(with)) - length(coef(none))
  put(case, c("chi2", "df", "p"), c(chi2, df, pchisq(chi2, df, lower.tail = FALSE)))
  for (g in sort(unique(data$group))) {
    one <- coxph(as.formula(paste("Surv(days, event) ~ treatment", adjust)), subset(data, group == g), control = tight)
    ci <- confint(one)[1, ]
    put(case, paste(c("hr", "low", "high", "n", "n_events"), g, sep = ":"),
      c(exp(coef(one)[1]), exp(ci), one$n, one$nevent))
  }
}
interact("interaction_lung", transform(subset(lung2, !is.na(ecog) & ecog < 3), treatment = sex, group = ecog))
interact("interaction_lung_age", transform(subset(lung2, !is.na(ecog) & ecog < 3), treatment = sex, group = ecog), "+ age")
restricted <- function(case, formula, data, tau) {
  s <- summary(survfit(formula, data = data), rmean = tau)$table
  g <- sub(".*=", "", rownames(s))
  put(case, paste("rmst", g, sep = ":"), s[, "rmean"])
  put(case, paste("se", g, sep = ":"), s[, "se(rmean)"])
}
restricted("rmst_lung_365", Surv(days, event) ~ sex, lung2, 365)
restricted("rmst_lung_700", Surv(days, event) ~ sex, lung2, 700)
restricted("rmst_ties_6", Surv(days, event) ~ sex, ties, 6)
uno <- function(case, data, score, tau) {
  data$score <- score
  fit <- concordance(Surv(days, event) ~ score, data, reverse = TRUE, timewt = "n/G2", ymax = tau)
  put(case, c("c", "se"), c(fit$concordance, sqrt(fit$var)))
}
uno("uno_pbc", pbc2, log(pbc2$bili), 3000)
uno("uno_ties", ties, ties$age, 9)

write.csv(transform(out, value = format(value, digits = 17, trim = TRUE)), "survival_reference.csv",
  row.names = FALSE, quote = FALSE)
