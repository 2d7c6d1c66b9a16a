# Makes mechanisms.json: R's values for Firth's logistic regression, associations and sensitivity. Run in this folder:
# Rscript make_mechanisms.R      Debian packages: r-base-core r-cran-brglm2 r-cran-proc r-cran-jsonlite
# brglm2 gives coefficients and Wald SE; profile limits and likelihood ratios are base R written from Heinze and
# Schemper 2002; HC3 is base R from hatvalues (MacKinnon and White 1985). asah.csv, tiny25.csv: see make_binary.R.
suppressMessages({library(brglm2); library(pROC); library(jsonlite)})
tight <- list(epsilon = 1e-14, maxit = 1000)
asah <- read.csv("asah.csv"); tiny <- read.csv("tiny25.csv")

# penalised log likelihood with the information of the whole model, and its maximum with some coefficients held
ploglik <- function(b, X, y) {
  eta <- drop(X %*% b); w <- plogis(eta) * plogis(-eta)
  v <- sum(plogis(ifelse(y == 1, eta, -eta), log.p = TRUE)) + .5 * as.numeric(determinant(crossprod(X * sqrt(w)))$modulus)
  if (is.finite(v)) v else -1e8
}
held <- function(X, y, j, value, from) {
  if (ncol(X) == 1) return(ploglik(value, X, y))
  s <- sqrt(colMeans(X^2)); Z <- sweep(X, 2, s, "/")  # columns of one size
  f <- function(r) { b <- numeric(ncol(X)); b[j] <- value * s[j]; b[-j] <- r; -ploglik(b, Z, y) }
  r <- (from * s)[-j]
  for (i in 1:8) r <- optim(r, f, method = "BFGS", control = list(reltol = 1e-16, maxit = 2000, ndeps = rep(1e-4, length(r))))$par
  -f(r) + sum(log(s))  # back to the given units
}
firth <- function(X, y) {
  g <- suppressWarnings(brglmFit(X, y, family = binomial(), control = brglmControl(type = "AS_mean", epsilon = 1e-13, maxit = 5000)))
  b <- as.numeric(g$coefficients); p <- plogis(drop(X %*% b))
  se <- sqrt(diag(solve(crossprod(X * sqrt(p * (1 - p)))))); top <- ploglik(b, X, y)
  one <- function(j) {
    lr <- function(v) 2 * (top - held(X, y, j, v, b)); cut <- qchisq(.95, 1)
    limit <- function(side) {
      far <- se[j]; while (lr(b[j] + side * far) < cut) far <- far * 2
      uniroot(function(v) lr(v) - cut, sort(c(b[j], b[j] + side * far)), tol = 1e-11)$root
    }
    chi2 <- lr(0); list(low = limit(-1), high = limit(1), chi2 = chi2, p = pchisq(chi2, 1, lower.tail = FALSE))
  }
  ones <- lapply(seq_along(b), one); pick <- function(k) sapply(ones, `[[`, k)
  list(coef = b, se = as.numeric(se), loglik = top, low = pick("low"), high = pick("high"), chi2 = pick("chi2"), p = pick("p"))
}
set <- function(d, columns) list(data = c(list(y = d$y), as.list(d[columns])), fit = firth(as.matrix(cbind(1, d[columns])), d$y))
separated <- data.frame(y = c(0, 0, 0, 0, 0, 0, 1, 1, 1), x = c(1, 2, 3, 4, 5, 6, 7, 8, 9), z = c(0, 1, 0, 1, 1, 0, 0, 1, 1))
quasi <- data.frame(y = c(rep(0, 14), rep(1, 6)), x = c(rep(0, 14), 0, 0, 1, 1, 1, 1),  # every x = 1 has the event
                    age = c(51, 67, 60, 72, 58, 63, 70, 49, 66, 61, 55, 74, 68, 59, 64, 71, 62, 69, 57, 73))
asah$female <- as.numeric(asah$gender == "Female")

# associations: log odds of risk in SD units on a marker, HC3, t and F
hc3 <- function(m) {
  X <- model.matrix(m); e <- residuals(m) / (1 - hatvalues(m)); A <- solve(crossprod(X)); A %*% crossprod(X * e) %*% A
}
robust <- function(m, at) {
  V <- hc3(m); b <- coef(m); se <- sqrt(diag(V)); df <- df.residual(m); q <- length(at)
  f <- as.numeric(t(b[at]) %*% solve(V[at, at, drop = FALSE]) %*% b[at]) / q
  list(effect = as.numeric(b[at]), low = as.numeric(b[at] - qt(.975, df) * se[at]), high = as.numeric(b[at] + qt(.975, df) * se[at]),
       f = f, df = df, p = pf(f, q, df, lower.tail = FALSE), n = nobs(m))
}
d <- asah; l <- qlogis(d$p2); d$z <- l / sd(l)
d$female[c(3, 40)] <- NA; d$age_sd <- d$age / sd(d$age)
d$grade <- factor(ifelse(d$wfns <= 2, "low", ifelse(d$wfns <= 4, "middle", "high")), levels = c("low", "middle", "high"))
d$s100b_missing <- d$s100b; d$s100b_missing[c(5, 6, 7)] <- NA; d$s100b_sd <- d$s100b_missing / sd(d$s100b_missing, na.rm = TRUE)
odds <- function(m) { s <- summary(m)$coefficients["z", ]; exp(s[1] + c(0, -1, 1) * qnorm(.975) * s[2]) }
unadjusted <- list(
  female = robust(lm(z ~ female, d), 2), grade = robust(lm(z ~ grade, d), 2:3), wfns = robust(lm(z ~ wfns, d), 2),
  s100b = robust(lm(z ~ s100b_sd, d), 2))
adjusted <- list(
  female = robust(lm(z ~ female + age, d), 2), grade = robust(lm(z ~ grade + age, d), 2:3),
  wfns = robust(lm(z ~ wfns + age, d), 2), s100b = robust(lm(z ~ s100b_sd + age, d), 2))
p <- sapply(adjusted, `[[`, "p")
k <- !is.na(d$female)
area <- function(y, s) as.numeric(ci.auc(roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE)))[c(2, 1, 3)]
few <- data.frame(y = as.numeric(seq_along(d$y) %in% c(2, 17, 30, 44, 61, 90)), z = d$z, age = d$age)  # 6 positives
assoc <- list(
  sd = sd(l), unadjusted = unadjusted, adjusted = adjusted, holm = as.numeric(p.adjust(p, "holm")), bh = as.numeric(p.adjust(p, "BH")),
  odds = odds(glm(female ~ z, binomial, d, control = tight)), odds_adjusted = odds(glm(female ~ z + age, binomial, d, control = tight)),
  auc = area(d$female[k], d$p2[k]),
  few = firth(cbind(1, few$z), few$y), few_adjusted = firth(cbind(1, few$z, few$age), few$y))

# two areas in different patients; calibration in the large in a part
half <- function(keep) {
  y <- d$y[keep]; s <- d$p2[keep]; r <- roc(y, s, levels = c(0, 1), direction = "<", quiet = TRUE)
  g <- summary(glm(y ~ offset(qlogis(s)), family = binomial, control = tight))$coefficients
  list(n = length(y), events = sum(y), auc = as.numeric(auc(r)), var = var(r, method = "delong"),
       auc_ci = area(y, s), logit_ci = plogis(qlogis(as.numeric(auc(r))) + c(-1, 1) * qnorm(.975) * sqrt(var(r, method = "delong")) / (as.numeric(auc(r)) * (1 - as.numeric(auc(r))))),
       intercept = g[1, 1] + c(0, -1, 1) * qnorm(.975) * g[1, 2],
       oe = sum(y) / sum(s) * c(1, exp(c(-1, 1) * qnorm(.975) * sqrt((1 - mean(y)) / sum(y)))))
}
nodes <- (seq_len(nrow(d)) * 7) %% 20  # 0 to 19, made up: nodes examined of each patient
enough <- half(d$y == 1 | nodes >= 6)
odd <- seq_len(nrow(d)) %% 3 == 0; a <- half(!odd); b <- half(odd); gap <- a$auc - b$auc; se <- sqrt(a$var + b$var)
unpaired <- list(a = a, b = b, difference = gap + c(0, -1, 1) * qnorm(.975) * se, z = gap / se, p = 2 * pnorm(-abs(gap / se)))
# standardised mean differences, wrong against right: Austin 2009 with the large-sample SE of Hedges and Olkin 1985
apart <- function(x, y, share = FALSE) {
  v <- if (share) mean(c(mean(x) * (1 - mean(x)), mean(y) * (1 - mean(y)))) else mean(c(var(x), var(y)))
  s <- (mean(x) - mean(y)) / sqrt(v); m <- length(x); n <- length(y)
  s + c(0, -1, 1) * qnorm(.975) * sqrt((m + n) / (m * n) + s^2 / (2 * (m + n)))
}
called <- d$p2 >= .3; missed <- d$y == 1 & !called; found <- d$y == 1 & called
mistakes <- list(age = apart(d$age[missed], d$age[found]),
                 female = apart((asah$gender == "Female")[missed], (asah$gender == "Female")[found], TRUE))
out <- list(
  made_with = list(R = R.version.string, brglm2 = as.character(packageVersion("brglm2")), pROC = as.character(packageVersion("pROC"))),
  firth = list(asah = list(fit = firth(as.matrix(cbind(1, asah[c("age", "s100b", "female")])), asah$y)), tiny = list(fit = firth(as.matrix(cbind(1, tiny[c("score", "score2")])), tiny$y)),
               separated = set(separated, c("x", "z")), quasi = set(quasi, c("x", "age"))),
  associations = assoc, enough_nodes = enough, unpaired = unpaired, mistakes = mistakes)
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE, na = "string"), "mechanisms.json")
