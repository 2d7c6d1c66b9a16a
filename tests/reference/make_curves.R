# Makes curves.json: R's values for tests of groups (log-rank with weights, strata and trend; Gray's test with weights and
# strata), Kaplan-Meier at its edges, time lost to a cause, and 1 - Kaplan-Meier beside Aalen-Johansen.
# Run in this folder: Rscript --vanilla make_curves.R   (Debian: r-base-core r-cran-survival r-cran-cmprsk r-cran-jsonlite)
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
lung <- read.csv("lung.csv"); pbc <- read.csv("pbc.csv"); mgus <- read.csv("mgus.csv"); tiny <- read.csv("tiny_survival.csv")
ties <- transform(lung, days = floor(days / 60)); coarse <- transform(pbc, days = floor(days / 365))
mgus$spike <- as.integer(mgus$mspike >= 1.5)
out <- list(made_with = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                             cmprsk = as.character(packageVersion("cmprsk"))))

# --- survdiff; the trend is (w'(O - E))^2 / (w'Vw) of its own O, E and V, w = 0, 1, 2, ... ------------------------------
sums <- function(x) if (is.matrix(x)) rowSums(x) else x
log_rank <- function(data, by, strata = NULL, rho = 0) {
  f <- paste("Surv(days, event) ~", by, if (!is.null(strata)) paste0("+ strata(", paste(strata, collapse = ", "), ")") else "")
  d <- survdiff(as.formula(f), data = data, rho = rho)
  o <- sums(d$obs); e <- sums(d$exp); df <- sum(e > 0) - 1; w <- seq_along(o) - 1
  trend <- sum(w * (o - e))^2 / drop(t(w) %*% d$var %*% w)
  list(observed = o, expected = e, n = as.vector(sums(d$n)), chi2 = d$chisq, df = df, p = pchisq(d$chisq, df, lower.tail = FALSE),
       trend = trend, trend_p = pchisq(trend, 1, lower.tail = FALSE))
}
small <- transform(tiny, days = time, event = status)
out$log_rank <- list(
  lung_sex = log_rank(lung, "sex"), lung_sex_peto = log_rank(lung, "sex", rho = 1),
  lung_ecog = log_rank(lung, "ecog"), lung_ecog_half = log_rank(lung, "ecog", rho = 0.5),
  lung_ecog_in_sex = log_rank(lung, "ecog", "sex"), lung_ecog_in_sex_peto = log_rank(lung, "ecog", "sex", 1),
  lung_sex_in_two = log_rank(lung, "sex", c("ecog", "inst")), ties_sex_in_ecog_peto = log_rank(ties, "sex", "ecog", 1),
  ties_ecog = log_rank(ties, "ecog"), pbc_stage = log_rank(pbc, "stage"), pbc_stage_in_trt = log_rank(pbc, "stage", "trt"),
  tiny_group = log_rank(small, "group"), tiny_group_peto = log_rank(small, "group", rho = 1))
pair <- combn(sort(unique(pbc$stage)), 2)
p <- apply(pair, 2, function(ab) log_rank(pbc[pbc$stage %in% ab, ], "stage")$p)
out$pairwise_pbc_stage <- list(p = p, holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH"))

# --- Gray -------------------------------------------------------------------------------------------------------------
gray <- function(data, by, strata = NULL, rho = 0) {
  keep <- !is.na(data[[by]]) & (if (is.null(strata)) TRUE else !is.na(data[[strata]]))
  data <- data[keep, ]
  fit <- if (is.null(strata)) cuminc(data$days, data$state, data[[by]], rho = rho)
         else cuminc(data$days, data$state, data[[by]], data[[strata]], rho = rho)
  t <- fit$Tests
  list(causes = as.integer(rownames(t)), chi2 = t[, "stat"], p = t[, "pv"], df = t[, "df"])
}
competing <- transform(tiny, days = time, state = cr)
out$gray <- list(
  mgus_sex = gray(mgus, "sex"), mgus_sex_peto = gray(mgus, "sex", rho = 1), mgus_sex_in_spike = gray(mgus, "sex", "spike"),
  mgus_sex_in_spike_peto = gray(mgus, "sex", "spike", 1), pbc_trt_in_stage = gray(pbc, "trt", "stage"),
  pbc_stage_in_trt_half = gray(pbc, "stage", "trt", 0.5), coarse_stage_in_trt_peto = gray(coarse, "stage", "trt", 1),
  coarse_stage = gray(coarse, "stage"), tiny_group_peto = gray(competing, "group", rho = 1))

# --- restricted mean time lost: area under multi-state survfit; its error from the infinitesimal jackknife residuals ------
lost <- function(data, by, tau) {
  data$state <- factor(data$state, 0:2, c("censored", "event", "other"))
  lapply(split(data, if (is.null(by)) rep("all", nrow(data)) else data[[by]]), function(d) {
    d <<- d # residuals() looks the table up again by name
    f <- survfit(Surv(days, state) ~ 1, data = d); t <- summary(f, rmean = tau)$table
    r <- residuals(f, times = tau, type = "auc") # a row a patient, a column a state
    list(mean = unname(t[c("event", "other"), "rmean"]), se = unname(sqrt(colSums(r^2))[2:3]))
  })
}
out$time_lost <- list(
  mgus_120 = lost(mgus, "sex", 120), mgus_240 = lost(mgus, "sex", 240), mgus_all_60 = lost(mgus, NULL, 60),
  pbc_3000 = lost(pbc, "trt", 3000), coarse_9 = lost(coarse, "stage", 9), tiny_5 = lost(competing, "group", 5))

# --- 1 - Kaplan-Meier with the competing events as censored, beside Aalen-Johansen ---------------------------------------
both <- function(data, by, times) lapply(split(data, data[[by]]), function(d) {
  km <- function(cause) 1 - summary(survfit(Surv(days, state == cause) ~ 1, data = d), times = times, extend = TRUE)$surv
  aj <- timepoints(cuminc(d$days, d$state), times)$est
  list(km1 = km(1), km2 = km(2), aj1 = unname(aj["1 1", ]), aj2 = unname(aj["1 2", ]))
})
out$one_minus_km <- list(mgus = both(mgus, "sex", c(60, 120, 240)), coarse = both(coarse, "trt", 1:9))

# --- Kaplan-Meier at its edges: conf.type "log-log"; NA where S is 0 or 1 -------------------------------------------------
edges <- list(
  all_censored = data.frame(days = c(3, 5, 9), event = 0), one_event = data.frame(days = c(3, 5, 5, 9), event = c(0, 1, 0, 0)),
  last_dies = data.frame(days = c(2, 2, 4, 7), event = c(1, 0, 1, 1)), all_at_once = data.frame(days = c(4, 4, 4), event = 1),
  at_zero = data.frame(days = c(0, 0, 3, 6), event = c(1, 0, 1, 0)), one_patient = data.frame(days = 5, event = 1),
  tie_with_censored = data.frame(days = c(2, 2, 2, 5, 5, 8), event = c(1, 1, 0, 1, 0, 0)))
out$edges <- lapply(edges, function(d) {
  f <- survfit(Surv(days, event) ~ 1, data = d, conf.type = "log-log"); q <- quantile(f, 0.5)
  list(days = d$days, event = rep_len(d$event, nrow(d)), time = f$time, surv = f$surv, lower = f$lower, upper = f$upper,
       n_risk = f$n.risk, median = c(q$quantile, q$lower, q$upper))
})
writeLines(toJSON(out, digits = I(17), auto_unbox = FALSE, pretty = FALSE, na = "null"), "curves.json")
