# Makes groups.json: R's values for calibration by group and for centres pooled. Run in this folder: Rscript make_groups.R
# Debian packages: r-base-core r-cran-metafor r-cran-jsonlite; centres.csv is made by make_binary.R.
suppressMessages({library(metafor); library(jsonlite)})
num <- glm.control(epsilon = 1e-14, maxit = 100)
made <- read.csv("centres.csv")
z <- qnorm(.975)
one <- function(d) {
  l <- qlogis(d$risk); y <- d$onlm
  large <- summary(glm(y ~ offset(l), family = binomial, control = num))$coefficients
  line <- summary(glm(y ~ l, family = binomial, control = num))$coefficients
  oe <- sum(y) / sum(d$risk); se <- sqrt((1 - mean(y)) / sum(y))
  direct <- loess(y ~ d$risk, span = .75, degree = 2, control = loess.control(surface = "direct"))
  b <- (y - d$risk)^2
  list(n = nrow(d), n_positive = sum(y), intercept = large[1, 1], intercept_se = large[1, 2], slope = line[2, 1],
       slope_se = line[2, 2], oe = oe, log_oe_se = se, ici = mean(abs(fitted(direct) - d$risk)),
       brier = mean(b), brier_se = sd(b) / sqrt(length(b)))
}
by <- lapply(split(made, made$centre), function(d) if (sum(d$onlm) >= 5 && sum(1 - d$onlm) >= 5) one(d) else NULL)
by <- Filter(Negate(is.null), by)
sep <- "C9"  # the risks separate N+ from N0: no slope
tight <- list(threshold = 1e-13, maxiter = 10000)
pool <- function(yi, vi, back) {
  m <- rma(yi, vi, method = "REML", test = "knha", control = tight); g <- rma(yi, vi, method = "REML", test = "adhoc", control = tight)
  p <- predict(m)
  list(pooled = back(c(m$b[1], m$ci.lb, m$ci.ub)), guarded = back(c(g$ci.lb, g$ci.ub)), prediction = back(c(p$pi.lb, p$pi.ub)),
       tau2 = m$tau2, i2 = m$I2 / 100, k = m$k)
}
get <- function(name, from = by) sapply(from, `[[`, name)
with_slope <- by[setdiff(names(by), sep)]
age <- cut(made$age_years, c(-Inf, 60, 70, Inf), right = FALSE, labels = c("<60", "60 to <70", ">=70"))
slope <- get("slope", with_slope); slope_v <- get("slope_se", with_slope)^2
left <- lapply(names(with_slope), function(n) pool(slope[names(slope) != n], slope_v[names(slope) != n], identity))
names(left) <- names(with_slope)
out <- list(
  made_with = list(R = R.version.string, metafor = as.character(packageVersion("metafor"))),
  centre = by, age = lapply(split(made, age), one),
  intercept = pool(get("intercept"), get("intercept_se")^2, identity),
  slope = pool(slope, slope_v, identity), oe_ratio = pool(log(get("oe")), get("log_oe_se")^2, exp),
  slope_without = left)
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = TRUE, na = "string"), "groups.json")
