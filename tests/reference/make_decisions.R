# Makes decisions.json: R's values for weighted Cox models, overlap weights, weighted survival and incidence, landmarks.
# Run in this folder: Rscript make_decisions.R
# Debian packages: r-base-core r-cran-survival r-cran-jsonlite r-cran-survey; lung.csv and pbc.csv are made by make_survival.R.
suppressMessages({library(survival); library(jsonlite); library(survey)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
num <- glm.control(epsilon = 1e-14, maxit = 100)
fitted_cox <- function(fit) {
  list(names = I(names(coef(fit))), coef = I(unname(coef(fit))), robust_se = I(sqrt(diag(as.matrix(fit$var)))),
       naive_se = I(sqrt(diag(as.matrix(fit$naive.var)))), loglik = fit$loglik, n = fit$n, n_events = fit$nevent)
}

# --- case weights: lung, its follow-up in units of 60 days (heavy ties) -------------------------------------------
lung <- read.csv("lung.csv")
lung <- lung[complete.cases(lung[c("age", "sex", "ecog", "inst")]), ]
lung$male <- as.integer(lung$sex == "male"); lung$inst <- lung$inst
lung$w <- 0.2 + (seq_len(nrow(lung)) %% 7) / 5
tied <- transform(lung, days = floor(days / 60) + 1)
w_cox <- function(d, formula) coxph(formula, data = d, weights = w, ties = "efron", control = tight, robust = TRUE)
cox <- list()
for (name in c("lung", "tied")) {
  d <- get(name)
  fit <- w_cox(d, Surv(days, event) ~ age + male + ecog)
  zph <- cox.zph(fit, transform = "km")$table
  cox[[name]] <- c(fitted_cox(fit), list(
    zph_chi2 = unname(zph[, 1]), score_residuals = unname(residuals(fit, type = "score", weighted = TRUE)),
    clustered_se = sqrt(diag(w_cox(d, Surv(days, event) ~ age + male + ecog + cluster(inst))$var)),
    stratified = fitted_cox(w_cox(d, Surv(days, event) ~ age + ecog + strata(male)))))
}

# --- overlap weights: pbc, D-penicillamine against placebo ---------------------------------------------------------
pbc <- read.csv("pbc.csv")
pbc <- pbc[complete.cases(pbc[c("age", "bili", "protime", "stage")]), ]
pbc$stage <- factor(pbc$stage)
pbc$arm <- as.integer(pbc$trt == "placebo")
pbc$skewed <- as.integer(pbc$bili > 2 | pbc$age > 58) # a "treatment" that goes with the covariates
overlap <- function(formula, arm) {
  g <- glm(formula, family = binomial, data = pbc, control = num)
  e <- fitted(g)
  pbc$w <- ifelse(arm == 1, 1 - e, e)
  pbc$a <- arm
  r <- rank(e); n1 <- sum(arm); n0 <- sum(1 - arm)
  fit <- coxph(Surv(days, event) ~ a, data = pbc, weights = w, ties = "efron", control = tight, robust = TRUE)
  des <- svydesign(ids = ~1, weights = ~w, data = pbc)
  svy <- svycoxph(Surv(days, event) ~ a, design = des)
  cause <- coxph(Surv(days, state == 2) ~ a, data = pbc, weights = w, ties = "efron", control = tight, robust = TRUE)
  km <- summary(survfit(Surv(days, event) ~ a, data = pbc, weights = w, robust = TRUE), times = c(400, 1000, 2000, 3000))
  aj <- survfit(Surv(days, factor(state, 0:2)) ~ a, data = pbc, weights = w, robust = TRUE)
  aj <- summary(aj, times = c(400, 1000, 2000, 3000))
  list(propensity = unname(e), c = (sum(r[arm == 1]) - n1 * (n1 + 1) / 2) / (n1 * n0),
       effective_n = sapply(0:1, function(k) sum(pbc$w[arm == k])^2 / sum(pbc$w[arm == k]^2)),
       mean_age = sapply(0:1, function(k) weighted.mean(pbc$age[arm == k], pbc$w[arm == k])),
       smd_age = (mean(pbc$age[arm == 1]) - mean(pbc$age[arm == 0])) /
         sqrt((var(pbc$age[arm == 1]) + var(pbc$age[arm == 0])) / 2),
       cox = fitted_cox(fit), survey_coef = unname(coef(svy)), survey_se = sqrt(as.numeric(vcov(svy))),
       crude = fitted_cox(coxph(Surv(days, event) ~ a, data = pbc, ties = "efron", control = tight, robust = TRUE)),
       cause_2 = fitted_cox(cause),
       km = list(time = km$time, arm = as.integer(km$strata) - 1, surv = km$surv, se = km$std.err),
       aj = list(time = aj$time, arm = as.integer(aj$strata) - 1, f1 = aj$pstate[, 2], f2 = aj$pstate[, 3],
                 se1 = aj$std.err[, 2], se2 = aj$std.err[, 3]))
}
trial <- overlap(arm ~ age + bili + protime + stage + sex, pbc$arm)
skewed <- overlap(skewed ~ age + protime + stage + sex, pbc$skewed)

# --- landmarks in lung, and a made-up treatment that starts later --------------------------------------------------
all <- read.csv("lung.csv")
all$start <- ifelse(seq_len(nrow(all)) %% 3 == 0, 20 + (seq_len(nrow(all)) * 37) %% 260, NA)
all$started <- as.integer(!is.na(all$start) & all$start < all$days)
all$start[all$started == 0] <- NA
at <- function(L) {
  k <- all[all$days > L, ]
  k$t <- k$days - L; k$x <- as.integer(k$started == 1 & k$start <= L)
  f <- coxph(Surv(t, event) ~ x, data = k, ties = "efron", control = tight)
  list(day = L, n = nrow(k), n_events = sum(k$event), n_exposed = sum(k$x), later = sum(k$started == 1 & k$start > L),
       event_before = sum(all$days <= L & all$event == 1), censored_before = sum(all$days <= L & all$event == 0),
       coef = unname(coef(f)), se = sqrt(f$var[1, 1]))
}
k <- all[all$days > 90 & !is.na(all$ecog), ] # time > 90, clock reset, censored 730 days after time zero
k$event <- ifelse(k$days > 730, 0, k$event); k$t <- pmin(k$days, 730) - 90; k$female <- as.integer(k$sex == "female")
f <- coxph(Surv(t, event) ~ age + female + ecog, data = k, ties = "efron", control = tight)
fitted_90 <- list(n = f$n, n_events = f$nevent, coef = unname(coef(f)), se = sqrt(diag(f$var)))
naive <- coxph(Surv(days, event) ~ started, data = all, ties = "efron", control = tight)
out <- list(
  made_with = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                   survey = as.character(packageVersion("survey"))),
  cox = cox, trial = trial, skewed = skewed, start = ifelse(is.na(all$start), -1, all$start), started = all$started,
  landmark = lapply(c(60, 90, 180), at), naive = list(coef = unname(coef(naive)), se = sqrt(naive$var[1, 1])),
  landmark_90 = fitted_90)
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, na = "string"), "decisions.json")
