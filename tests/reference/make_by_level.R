# Makes by_level.json: R's values level by level, of several tables of centres pooled, and of an update of the risks.
# Run in this folder: Rscript make_by_level.R
# Debian packages: r-base-core r-cran-proc r-cran-metafor r-cran-jsonlite. Tables: see make_binary.R.
suppressMessages({library(pROC); library(metafor); library(jsonlite)})
num <- list(epsilon = 1e-14, maxit = 100)
z <- qnorm(.975)
ci <- function(est, se) c(est, est - z * se, est + z * se)
wilson <- function(x, n) if (n == 0) rep(NaN, 3) else c(x / n, as.numeric(suppressWarnings(prop.test(x, n, correct = FALSE))$conf.int))

calibrated <- function(y, p) {
  l <- qlogis(p); n <- length(y); b <- (y - p)^2
  large <- summary(glm(y ~ offset(l), family = binomial, control = num))$coefficients
  joint <- summary(glm(y ~ l, family = binomial, control = num))$coefficients
  fit <- suppressWarnings(fitted(loess(y ~ p, span = .75, degree = 2, control = loess.control(surface = "direct", statistics = "approximate"))))
  list(n = n, n_positive = sum(y), intercept = ci(large[1, 1], large[1, 2]), slope = ci(joint[2, 1], joint[2, 2]),
       oe_ratio = sum(y) / sum(p) * c(1, exp(c(-1, 1) * z * sqrt((1 - mean(y)) / sum(y)))), brier = ci(mean(b), sd(b) / sqrt(n)),
       scaled_brier = 1 - mean(b) / (mean(y) * (1 - mean(y))), ici = mean(abs(fit - p)))
}
area <- function(y, s) {
  r <- roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE); a <- as.numeric(auc(r)); v <- var(r, method = "delong")
  list(auc = a, ci = as.numeric(ci.auc(r, method = "delong"))[c(1, 3)], yi = qlogis(a), vi = v / (a * (1 - a))^2,
       logit_ci = plogis(qlogis(a) + c(-1, 1) * z * sqrt(v) / (a * (1 - a))))
}
crossed <- function(y, p, t) {
  pos <- p >= t
  list(tpr = wilson(sum(pos & y == 1), sum(y == 1)), fpr = wilson(sum(pos & y == 0), sum(y == 0)),
       ppv = wilson(sum(pos & y == 1), sum(pos)))
}

# Centres: every measure pooled on its scale; a centre with fewer than 5 N+ or N0, or without a variance, stays out.
effects <- function(d) {
  one <- function(x) {
    y <- x$onlm; p <- x$risk; l <- qlogis(p); a <- area(y, p)
    large <- summary(glm(y ~ offset(l), family = binomial, control = num))$coefficients
    apart <- a$auc %in% c(0, 1)
    joint <- if (apart) NULL else summary(glm(y ~ l, family = binomial, control = num))$coefficients
    list(auc = if (apart) NULL else c(a$yi, a$vi), intercept = c(large[1, 1], large[1, 2]^2), slope = if (!apart) c(joint[2, 1], joint[2, 2]^2),
         oe_ratio = c(log(sum(y) / sum(p)), (1 - mean(y)) / sum(y)))
  }
  lapply(Filter(function(x) sum(x$onlm) >= 5 && sum(1 - x$onlm) >= 5, split(d, d$centre)), one)
}
tight <- list(threshold = 1e-13, maxiter = 10000)
told <- list(auc = plogis, intercept = identity, slope = identity, oe_ratio = exp)
pooled <- function(found, measure) {
  found <- Filter(Negate(is.null), lapply(found, `[[`, measure)); yi <- sapply(found, `[`, 1); vi <- sapply(found, `[`, 2)
  m <- rma(yi, vi, method = "REML", test = "knha", control = tight); p <- predict(m); f <- told[[measure]]
  a <- rma(yi, vi, method = "REML", test = "adhoc", control = tight)
  out <- list(k = m$k, value = f(m$b[1]), low = f(m$ci.lb), high = f(m$ci.ub), low_conservative = f(a$ci.lb), high_conservative = f(a$ci.ub),
              prediction_low = f(p$pi.lb), prediction_high = f(p$pi.ub), tau2 = m$tau2, i2 = m$I2 / 100)
  if (m$k >= 4) {
    l <- leave1out(m); b <- leave1out(a)
    out$leave1out <- list(centre = names(found), value = f(l$estimate), low = f(l$ci.lb), high = f(l$ci.ub),
                          low_conservative = f(b$ci.lb), high_conservative = f(b$ci.ub), tau2 = l$tau2, i2 = l$I2 / 100)
  }
  out
}
all_measures <- function(d) {found <- effects(d); sapply(names(told), function(m) pooled(found, m), simplify = FALSE)}

made <- read.csv("centres.csv"); asah <- read.csv("asah.csv")
dealt <- made; dealt$centre <- paste0("D", (seq_len(nrow(made)) - 1) %% 6)  # dealt out by turn: centres that agree
age <- cut(made$age_years, c(-Inf, 60, 70, Inf), right = FALSE, labels = c("<60", "60 to <70", ">=70"))
levels_of <- list(sex = factor(made$sex), smoking = factor(made$smoking), age_years = age)

by_level <- lapply(levels_of, function(f) lapply(split(made, f), function(d)
  c(calibrated(d$onlm, d$risk), crossed(d$onlm, d$risk, .2), area(d$onlm, d$risk))))

# An update made on every other patient, judged on the rest
odd <- seq_len(nrow(asah)) %% 2 == 1; wrong <- plogis(.4 + .6 * qlogis(asah$p2)); y <- asah$y
g <- glm(y[odd] ~ qlogis(wrong[odd]), family = binomial, control = num); moved <- plogis(coef(g)[1] + coef(g)[2] * qlogis(wrong))
d <- (moved - y)[!odd]^2 - (wrong - y)[!odd]^2
effect <- list(before = calibrated(y[!odd], wrong[!odd]), after = calibrated(y[!odd], moved[!odd]), brier_change = ci(mean(d), sd(d) / sqrt(length(d))))

# Exact P of the widest gap between two levels: deal the positives to the levels (hypergeometric).
dealt_p <- function(x, m) {
  k <- max(0, sum(x) - m[2]):min(sum(x), m[1]); gap <- abs(k / m[1] - (sum(x) - k) / m[2])
  pr <- dhyper(k, m[1], m[2], sum(x)); seen <- abs(x[1] / m[1] - x[2] / m[2])
  c(p = sum(pr[gap >= seen - 1e-12]), mean = sum(pr * gap))
}
by_sex <- function(keep) c(sum(keep & made$sex == "female"), sum(keep & made$sex == "male"))
pos <- made$risk >= .2
gap_p <- list(tpr = dealt_p(by_sex(pos & made$onlm == 1), by_sex(made$onlm == 1)), fpr = dealt_p(by_sex(pos & made$onlm == 0), by_sex(made$onlm == 0)))
holes <- c(.01, NA, .04, .03, .9, NA, .03)
out <- list(
  made_with = list(R = R.version.string, pROC = as.character(packageVersion("pROC")), metafor = as.character(packageVersion("metafor"))),
  centres = list(nine = all_measures(made), three = all_measures(made[made$centre %in% c("C1", "C2", "C3"), ]), alike = all_measures(dealt),
                 five = all_measures(made[made$centre %in% paste0("C", c(4, 5, 6, 7, 8, 9)), ])),
  levels = by_level,
  effect = effect, gap_p = gap_p, adjusted = list(p = holes, holm = p.adjust(holes, "holm"), bh = p.adjust(holes, "BH")))
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string"), "by_level.json")
