# Makes firth_hazard.json: Cox models with Firth's penalty for tests/test_firth_hazard.py, by maximising the penalised
# likelihood numerically (coxphf is not in Debian). Run in this folder: Rscript --vanilla make_firth_hazard.R (minutes)
# Debian: r-base-core r-cran-survival r-cran-jsonlite; lung.csv is made by make_survival.R.
suppressMessages({library(survival); library(jsonlite)})
lung <- read.csv("lung.csv"); lung <- lung[complete.cases(lung[c("age", "sex", "ecog")]), ]
ties <- transform(lung, days = floor(days / 60))
out <- list(made_with = list(R = R.version.string, survival = as.character(packageVersion("survival"))))

# --- Firth's penalty: the log likelihood plus half the log determinant of the information, maximised numerically -----
gradient <- function(fn, b, h = 2e-3) sapply(seq_along(b), function(i) { e <- replace(0 * b, i, h)
  (45 * (fn(b + e) - fn(b - e)) - 9 * (fn(b + 2 * e) - fn(b - 2 * e)) + (fn(b + 3 * e) - fn(b - 3 * e))) / (60 * h) })
climb <- function(fn, b) {  # Newton's steps with sixth-order differences, from optim's maximum
  if (!length(b)) return(list(b = b, value = fn(b)))
  b <- optim(b, function(v) -fn(v), method = "BFGS", control = list(reltol = 1e-13, maxit = 1000))$par
  for (i in 1:4) {
    hessian <- matrix(sapply(seq_along(b), function(j) { e <- replace(0 * b, j, 1e-3); (gradient(fn, b + e) - gradient(fn, b - e)) / 2e-3 }), length(b))
    b <- b - solve((hessian + t(hessian)) / 2, gradient(fn, b))
  }
  list(b = b, value = fn(b))
}
firth <- function(formula, data) {
  x <- model.matrix(update(formula, ~ . - strata(sex)), data)[, -1, drop = FALSE]; size <- apply(x, 2, sd); p <- ncol(x)
  strat <- if (any(grepl("strata", deparse(formula)))) data$sex else rep(1, nrow(data))
  z <- sweep(x, 2, size, "/"); y <- Surv(data$days, data$event)
  one <- function(b) { m <- suppressWarnings(coxph(y ~ z + strata(strat), init = b, control = coxph.control(iter.max = 0))); m }
  pen <- function(b) { m <- one(b); m$loglik[length(m$loglik)] - as.numeric(determinant(vcov(m))$modulus) / 2 }
  top <- climb(pen, rep(0, p)); v <- vcov(one(top$b))
  lim <- p_val <- NULL
  for (j in 1:p) {
    held <- function(v) climb(function(b) pen(append(b, v, j - 1)), top$b[-j])$value
    p_val[j] <- pchisq(2 * (top$value - held(0)), 1, lower.tail = FALSE)
    gap <- function(v) 2 * (top$value - held(v)) - qchisq(.95, 1)
    se <- sqrt(v[j, j])
    lim <- rbind(lim, sapply(c(-1, 1), function(s) uniroot(gap, sort(top$b[j] + s * se * c(.5, 3)), extendInt = if (s < 0) "downX" else "upX", tol = 1e-11)$root))
  }
  list(coef = top$b / size, se = sqrt(diag(v)) / size, low = lim[, 1] / size, high = lim[, 2] / size, p = p_val,
       lr = 2 * (top$value - pen(rep(0, p))))
}
separated <- data.frame(days = c(3, 5, 5, 8, 9, 11, 12, 12, 15, 16, 18, 20), event = c(1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0),
                        age = c(50, 61, 47, 70, 66, 58, 49, 73, 55, 62, 68, 51), marker = c(0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1))
out$separated <- separated
out$firth_separated <- firth(~ age + marker, separated)
out$firth_one <- firth(~ marker, separated)
out$firth_lung <- firth(~ age + sex + ecog, lung)
out$firth_ties <- firth(~ age + ecog + strata(sex), ties)
writeLines(toJSON(out, digits = I(17), auto_unbox = TRUE, pretty = FALSE, na = "string"), "firth_hazard.json")
