# Makes hazards.json: R's values for tests/test_hazard_tests.py, test_hazard_form.py,
# test_hazard_constancy.py, test_influential_patients.py, test_prognostic_gain.py, test_hazard_comparing.py.
# Run in this folder: Rscript --vanilla make_hazards.R
# Debian: r-base-core r-cran-survival r-cran-hmisc r-cran-cmprsk r-cran-jsonlite; the tables are made by make_survival.R.
suppressMessages({library(survival); library(Hmisc); library(cmprsk); library(jsonlite); library(splines)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
lung <- read.csv("lung.csv"); lung <- lung[complete.cases(lung[c("age", "sex", "ecog")]), ]
pbc <- read.csv("pbc.csv")
ties <- transform(lung, days = floor(days / 60))
both <- transform(lung, half = ifelse(seq_len(nrow(lung)) %% 3 == 0, "a", "b"))
known <- lung[!is.na(lung$inst), ]
grade <- transform(lung[lung$ecog < 3, ], ecog = factor(ecog))
out <- list(made_with = list(R = R.version.string, survival = as.character(packageVersion("survival")),
  Hmisc = as.character(packageVersion("Hmisc")), cmprsk = as.character(packageVersion("cmprsk"))))
fit <- function(formula, data) { used <<- data; coxph(formula, data = used, ties = "efron", control = tight) }

# --- tests of the whole model, Uno's C, proportional hazards on four scales of time ---------------------------------
whole <- function(f, tau = NULL) {
  s <- summary(f)
  r <- list(loglik = unname(f$loglik), aic = AIC(f), lr = unname(s$logtest), wald = c(unname(f$wald.test), length(coef(f))),
            score = unname(s$sctest), coef = unname(coef(f)), se = unname(sqrt(diag(vcov(f)))))
  if (!is.null(tau)) {
    u <- concordance(f, timewt = "n/G2", ymax = tau); r$uno <- unname(u$concordance); r$uno_se <- sqrt(u$var)
  }
  r
}
zph <- function(f, by = c("km", "identity", "rank", "log")) {
  lapply(setNames(by, by), function(g) { z <- cox.zph(f, transform = g)$table; list(name = rownames(z), chi2 = unname(z[, 1]), df = unname(z[, 2]), p = unname(z[, 3])) })
}
lung_fit <- fit(Surv(days, event) ~ age + sex + ecog, lung)
out$whole_lung <- whole(lung_fit, 600); out$zph_lung <- zph(lung_fit)
f <- fit(Surv(days, event) ~ age + sex + ecog, ties); out$whole_ties <- whole(f, 9); out$zph_ties <- zph(f, c("km", "identity", "rank"))
f <- fit(Surv(days, event) ~ age + ecog + strata(sex, half), both); out$whole_strata <- whole(f); out$zph_strata <- zph(f)
f <- fit(Surv(days, event) ~ age + sex + ecog + cluster(inst), known); out$whole_cluster <- whole(f)
f <- fit(Surv(days, event) ~ age + ecog, grade); out$zph_factor <- zph(f)

# --- scaled Schoenfeld residuals and their smooth --------------------------------------------------------------------
schoenfeld <- function(f, transform) {
  z <- cox.zph(f, transform = transform, terms = FALSE)
  g <- z$x; at <- sort(unique(g)); inner <- quantile(g, c(1, 2) / 3, names = FALSE)
  basis <- function(x) ns(x, knots = inner, Boundary.knots = range(g), intercept = TRUE)
  b <- basis(g); inverse <- solve(crossprod(b)); new <- basis(at)
  smooth <- new %*% inverse %*% crossprod(b, z$y)
  spread <- sqrt(rowSums((new %*% inverse) * new))
  list(days = unname(z$time), g = unname(g), y = unname(z$y), at = at, smooth = unname(smooth),
       se = outer(spread, sqrt(diag(vcov(f)) * f$nevent)), var = unname(z$var))
}
out$schoenfeld_lung <- schoenfeld(fit(Surv(days, event) ~ age + sex + ecog, lung), "km")
out$schoenfeld_ties <- schoenfeld(fit(Surv(days, event) ~ age + sex + ecog, ties), "identity")

# --- what is added: paired concordance, likelihood ratio --------------------------------------------------------------
added <- function(f0, f1) {
  cc <- concordance(f0, f1); d <- c(-1, 1)
  list(c = unname(cc$concordance), se = unname(sqrt(diag(cc$var))), difference_se = sqrt(drop(t(d) %*% cc$var %*% d)),
       loglik = c(f0$loglik, f1$loglik[2]), aic = c(AIC(f0), AIC(f1)), chi2 = anova(f0, f1)$Chisq[2], p = anova(f0, f1)[2, 4])
}
used <- lung; f0 <- coxph(Surv(days, event) ~ age + sex, used, control = tight); f1 <- coxph(Surv(days, event) ~ age + sex + ecog, used, control = tight)
out$added_lung <- added(f0, f1)
used <- ties; f0 <- coxph(Surv(days, event) ~ age + strata(sex), used, control = tight); f1 <- coxph(Surv(days, event) ~ age + ecog + strata(sex), used, control = tight)
out$added_ties <- added(f0, f1)

# --- the form of a covariate -------------------------------------------------------------------------------------------
form <- function(data, name, knots, others = NULL) {
  used <<- data; x <- data[[name]]; at <- attr(rcspline.eval(x, nk = knots), "knots")
  used$b <<- rcspline.eval(x, knots = at, inclx = TRUE); used$x <<- x
  rest <- if (is.null(others)) "" else paste("+", paste(others, collapse = " + "))
  full <- coxph(as.formula(paste("Surv(days, event) ~ b", rest)), used, control = tight)
  line <- coxph(as.formula(paste("Surv(days, event) ~ x", rest)), used, control = tight)
  null <- coxph(as.formula(paste("Surv(days, event) ~ 1", rest)), used, control = tight)
  grid <- quantile(x, c(.05, .2, .5, .8, .95), names = FALSE); k <- seq_len(knots - 1)
  d <- sweep(rcspline.eval(grid, knots = at, inclx = TRUE), 2, drop(rcspline.eval(median(x), knots = at, inclx = TRUE)))
  m <- residuals(null, "martingale")
  list(knots = at, loglik = c(full$loglik[2], line$loglik[2], null$loglik[length(null$loglik)]), grid = grid,
       log_hr = drop(d %*% coef(full)[k]), se = sqrt(rowSums((d %*% vcov(full)[k, k]) * d)), martingale = unname(m),
       smooth = lowess(x, m, iter = 0, delta = 0))
}
out$form_lung <- form(lung, "age", 4)
out$form_ties <- form(ties, "age", 3, c("sex", "ecog"))
out$form_pbc <- form(pbc, "bili", 5, "age")

# --- single patients -----------------------------------------------------------------------------------------------------
single <- function(f) list(dfbetas = unname(residuals(f, "dfbetas")), martingale = unname(residuals(f, "martingale")),
  deviance = unname(residuals(f, "deviance")),
  displacement = { s <- residuals(f, "score"); unname(rowSums((s %*% vcov(f)) * s)) })
out$single_lung <- single(fit(Surv(days, event) ~ age + sex + ecog, lung))
out$single_ties <- single(fit(Surv(days, event) ~ age + ecog + strata(sex), ties))
without <- sapply(c(5, 60, 100), function(i) coef(fit(Surv(days, event) ~ age + sex + ecog, lung[-i, ])))
out$without <- unname(t(without))

# --- covariates alone and together ---------------------------------------------------------------------------------------
table_of <- function(f) { s <- summary(f); unname(cbind(s$conf.int[, c(1, 3, 4), drop = FALSE], s$coefficients[, ncol(s$coefficients)])) }
out$beside <- list(multi = table_of(fit(Surv(days, event) ~ age + ecog + sex, grade)), age = table_of(fit(Surv(days, event) ~ age, grade)),
  ecog = table_of(fit(Surv(days, event) ~ ecog, grade)), sex = table_of(fit(Surv(days, event) ~ sex, grade)))
mgus <- read.csv("mgus.csv"); mgus <- mgus[complete.cases(mgus[c("age", "sex", "hgb")]), ]
gray <- function(x) {
  m <- crr(mgus$days, mgus$state, x, gtol = 1e-10); se <- sqrt(diag(m$var)); z <- qnorm(.975)
  unname(cbind(exp(m$coef), exp(m$coef - z * se), exp(m$coef + z * se), 2 * pnorm(-abs(m$coef / se))))
}
male <- as.numeric(mgus$sex == "male")
out$beside_gray <- list(multi = gray(cbind(mgus$age, male, mgus$hgb)), age = gray(cbind(mgus$age)), sex = gray(cbind(male)), hgb = gray(cbind(mgus$hgb)))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = FALSE, na = "string", matrix = "rowmajor"), "hazards.json")
