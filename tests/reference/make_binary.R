# Makes binary.json: R's values for the binary-outcome statistics. Run in this folder: Rscript make_binary.R
# Debian packages: r-base-core r-cran-proc r-cran-metafor r-cran-jsonlite
# asah.csv: pROC's aSAH (Turck et al. 2010) with wfns as a number; p1, p2 = fitted risks of
#   glm(y ~ age + gender + s100b) and glm(y ~ age + gender + s100b + wfns), in full precision.
# tiny25.csv: made up, 25 patients, heavy ties, 4 events. centres.csv: made up below (seed 11), written once.
suppressMessages({library(pROC); library(metafor); library(jsonlite)})
num <- list(epsilon = 1e-14, maxit = 100)
ci <- function(est, se) c(est, est - qnorm(.975) * se, est + qnorm(.975) * se)
wilson <- function(x, n) as.numeric(prop.test(x, n, correct = FALSE)$conf.int)

area <- function(y, s) {
  r <- roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE)
  a <- as.numeric(auc(r)); v <- var(r, method = "delong")
  list(auc = a, var = v, ci = as.numeric(ci.auc(r, method = "delong"))[c(1, 3)],
       logit_ci = plogis(qlogis(a) + c(-1, 1) * qnorm(.975) * sqrt(v) / (a * (1 - a))))
}
paired <- function(y, s1, s2) {
  t <- roc.test(roc(y, s1, levels = c(0, 1), direction = "<", quiet = TRUE),
                roc(y, s2, levels = c(0, 1), direction = "<", quiet = TRUE), paired = TRUE, method = "delong")
  list(z = as.numeric(t$statistic), p = as.numeric(t$p.value), ci = as.numeric(t$conf.int))
}
cross <- function(y, s, t) {
  pos <- s >= t; tp <- sum(pos & y == 1); fp <- sum(pos & y == 0); fn <- sum(!pos & y == 1); tn <- sum(!pos & y == 0)
  lr <- function(a, m, b, n) c((a/m)/(b/n), if (a * b == 0) c(NaN, NaN) else  # a cell of 0: no interval
    (a/m)/(b/n) * exp(c(-1, 1) * qnorm(.975) * sqrt(1/a - 1/m + 1/b - 1/n)))
  list(threshold = t, counts = c(tp, fp, tn, fn), sensitivity = wilson(tp, tp + fn), specificity = wilson(tn, tn + fp),
       ppv = wilson(tp, tp + fp), npv = wilson(tn, tn + fn),
       lr_positive = lr(tp, tp + fn, fp, fp + tn), lr_negative = lr(fn, tp + fn, tn, fp + tn))
}
thresholds <- function(y, s) {
  u <- sort(unique(s)); se <- sapply(u, function(t) mean(s[y == 1] >= t)); sp <- sapply(u, function(t) mean(s[y == 0] < t))
  low <- function(x) if (length(x)) min(x) else Inf
  j <- se + sp - 1
  list(sens_0.90 = max(u[se >= .9 - 1e-12]), sens_0.95 = max(u[se >= .95 - 1e-12]), spec_0.90 = low(u[sp >= .9 - 1e-12]),
       spec_0.95 = low(u[sp >= .95 - 1e-12]), youden = min(u[j >= max(j) - 1e-12]))
}
calibration <- function(y, p) {
  l <- qlogis(p); n <- length(y)
  large <- summary(glm(y ~ offset(l), family = binomial, control = num))$coefficients
  joint <- summary(glm(y ~ l, family = binomial, control = num))$coefficients
  fit <- suppressWarnings(fitted(loess(y ~ p, span = .75, degree = 2, family = "gaussian",
                                       control = loess.control(surface = "direct", statistics = "exact"))))
  # the band: sqrt(sum of squared weights times the binomial variance of the fitted share)
  L <- suppressWarnings(sapply(seq_len(n), function(i) {
    unit <- as.numeric(seq_len(n) == i)
    fitted(loess(unit ~ p, span = .75, degree = 2, control = loess.control(surface = "direct", statistics = "approximate")))
  }))
  f01 <- pmin(1, pmax(0, fit)); se <- sqrt(as.numeric(L^2 %*% (f01 * (1 - f01))))
  e <- abs(fit - p); b <- (y - p)^2
  br <- unique(quantile(p, 0:10 / 10, type = 7)); g <- cut(p, br, include.lowest = TRUE)
  list(intercept = ci(large[1, 1], large[1, 2]), intercept_joint = ci(joint[1, 1], joint[1, 2]),
       slope = ci(joint[2, 1], joint[2, 2]), oe = sum(y) / sum(p) * c(1, exp(c(-1, 1) * qnorm(.975) * sqrt((1 - mean(y)) / sum(y)))),
       ici = mean(e), e50 = median(e), e90 = as.numeric(quantile(e, .9)), emax = max(e), fit = as.numeric(fit), fit_se = se,
       brier = ci(mean(b), sd(b) / sqrt(n)), scaled_brier = 1 - mean(b) / (mean(y) * (1 - mean(y))),
       groups = list(n = as.numeric(table(g)), events = as.numeric(tapply(y, g, sum)), expected = as.numeric(tapply(p, g, sum))))
}
decision <- function(y, p) lapply(c(.05, .1, .2, .35, .5), function(t) {
  n <- length(y); nb <- function(pos) sum(pos & y == 1) / n - sum(pos & y == 0) / n * t / (1 - t)
  m <- nb(p >= t); a <- nb(rep(TRUE, n)); list(threshold = t, model = m, all = a, avoided = 100 * (m - a) / (t / (1 - t)))
})
reclass <- function(y, old, new, cuts) {
  move <- function(d, k) {u <- mean(d[k] > 0); w <- mean(d[k] < 0); c(u - w, (u + w - (u - w)^2) / sum(k))}
  nri <- function(d) {
    e <- move(d, y == 1); o <- move(d, y == 0)
    list(events = ci(e[1], sqrt(e[2])), nonevents = ci(-o[1], sqrt(o[2])), total = ci(e[1] - o[1], sqrt(e[2] + o[2])))
  }
  d <- new - old; d1 <- d[y == 1]; d0 <- d[y == 0]
  list(cuts = cuts, categorical = nri(findInterval(new, cuts) - findInterval(old, cuts)), continuous = nri(d),
       idi = ci(mean(d1) - mean(d0), sqrt(var(d1) / length(d1) + var(d0) / length(d0))))
}

asah <- read.csv("asah.csv"); tiny <- read.csv("tiny25.csv"); y <- asah$y
out <- list(
  made_with = list(R = R.version.string, pROC = as.character(packageVersion("pROC")), metafor = as.character(packageVersion("metafor"))),
  asah = list(
    area = lapply(asah[c("s100b", "wfns", "p1", "p2")], function(s) area(y, s)),
    paired = list(s100b_wfns = paired(y, asah$s100b, asah$wfns), p2_p1 = paired(y, asah$p2, asah$p1)),
    thresholds = lapply(asah[c("s100b", "wfns", "p1")], function(s) thresholds(y, s)),
    cross = list(s100b_0.1 = cross(y, asah$s100b, .1), s100b_0.205 = cross(y, asah$s100b, .205), s100b_0.51 = cross(y, asah$s100b, .51)),
    calibration = list(p1 = calibration(y, asah$p1), p2 = calibration(y, asah$p2), wrong = calibration(y, plogis(.4 + .6 * qlogis(asah$p2)))),
    decision = decision(y, asah$p1), reclassification = reclass(y, asah$p1, asah$p2, c(.2, .5))),
  tiny25 = list(
    area = lapply(tiny[c("score", "score2")], function(s) area(tiny$y, s)),
    paired = list(score_score2 = paired(tiny$y, tiny$score, tiny$score2)),
    thresholds = lapply(tiny[c("score", "score2")], function(s) thresholds(tiny$y, s)),
    cross = list(score_0.2 = cross(tiny$y, tiny$score, .2)),
    calibration = lapply(tiny[c("score", "score2")], function(s) calibration(tiny$y, s)),
    decision = decision(tiny$y, tiny$score), reclassification = reclass(tiny$y, tiny$score, tiny$score2, c(.3, .6))))

# Centres and subgroups: 9 centres of unlike size and discrimination, one with 3 events, one separated completely.
if (!file.exists("centres.csv")) {
  set.seed(11); size <- c(160, 120, 110, 90, 90, 70, 60, 30, 12)
  made <- do.call(rbind, lapply(seq_along(size), function(k) {
    l <- rnorm(size[k], -1.3, 1.1); slope <- c(1.2, .5, 1.5, .8, 1.9, .3, 1.1, .9, 1)[k]
    data.frame(centre = paste0("C", k), risk = round(plogis(l), 4), onlm = rbinom(size[k], 1, plogis(-1.3 + slope * (l + 1.3))),
               sex = sample(c("female", "male"), size[k], TRUE), age_years = round(rnorm(size[k], 65, 9)),
               smoking = sample(c("never", "former", "current"), size[k], TRUE, c(.4, .35, .25)))
  }))
  k9 <- made$centre == "C9"; made$onlm[k9] <- as.integer(rank(-made$risk[k9]) <= 6)
  k8 <- which(made$centre == "C8"); made$onlm[k8] <- 0; made$onlm[k8[c(2, 9, 20)]] <- 1
  made <- cbind(patient_id = sprintf("P%03d", seq_len(nrow(made))), made)
  write.csv(made, "centres.csv", row.names = FALSE)
}
made <- read.csv("centres.csv")
by <- lapply(split(made, made$centre), function(d) c(area(d$onlm, d$risk), list(n = nrow(d), events = sum(d$onlm))))
kept <- Filter(function(a) a$events >= 5 && a$n - a$events >= 5 && a$auc < 1 && a$auc > 0, by)
yi <- qlogis(sapply(kept, `[[`, "auc")); vi <- sapply(kept, function(a) a$var / (a$auc * (1 - a$auc))^2)
tight <- list(threshold = 1e-13, maxiter = 10000)
pool <- function(test) {
  m <- rma(yi, vi, method = "REML", test = test, control = tight); p <- predict(m)
  list(pooled = plogis(c(m$b[1], m$ci.lb, m$ci.ub)), prediction = plogis(c(p$pi.lb, p$pi.ub)), tau2 = m$tau2, i2 = m$I2 / 100, q = m$QE)
}
interaction_test <- function(f, data) {
  l <- qlogis(data$risk)
  a <- glm(data$onlm ~ l + f, family = binomial, control = num); b <- glm(data$onlm ~ l * f, family = binomial, control = num)
  x <- a$deviance - b$deviance; df <- a$df.residual - b$df.residual
  list(chi2 = x, df = df, p = pchisq(x, df, lower.tail = FALSE))
}
age <- cut(made$age_years, c(-Inf, 60, 70, Inf), right = FALSE, labels = c("<60", "60 to <70", ">=70"))
tests <- list(sex = interaction_test(factor(made$sex), made), smoking = interaction_test(factor(made$smoking), made),
              age_years = interaction_test(age, made),
              centre = interaction_test(factor(made$centre[made$centre %in% paste0("C", 1:7)]), made[made$centre %in% paste0("C", 1:7), ]))
p <- sapply(tests, `[[`, "p")
out$centres <- list(area = by, kept = names(kept), knha = pool("knha"), adhoc = pool("adhoc"), interaction = tests,
                    holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH"),
                    age_area = lapply(split(made, age), function(d) area(d$onlm, d$risk)))
low3 <- rma(c(.9, .95, 1.0, .92), c(.04, .05, .03, .06), method = "REML", test = "knha", control = tight)
low4 <- rma(c(.9, .95, 1.0, .92), c(.04, .05, .03, .06), method = "REML", test = "adhoc", control = tight)
out$homogeneous <- list(tau2 = low3$tau2, knha = c(low3$b[1], low3$ci.lb, low3$ci.ub), adhoc = c(low4$b[1], low4$ci.lb, low4$ci.ub))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string"), "binary.json")
