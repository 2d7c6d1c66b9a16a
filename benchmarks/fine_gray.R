# Seconds of Fine-Gray in R for benchmarks/outcomes.py: Rscript fine_gray.R rows.csv
suppressPackageStartupMessages({ library(cmprsk); library(survival) })
rows <- read.csv(commandArgs(trailingOnly = TRUE)[1])
x <- as.matrix(rows[c("risk", "male")])
said <- function(name, work) cat(name, "\t", system.time(work)[["elapsed"]], "\n", sep = "")

said("cmprsk::crr", crr(rows$regional_days, rows$regional_state, x))
state <- factor(rows$regional_state, 0:2, c("censored", "event", "other"))
said("survival::finegray and coxph (weighted, Breslow)", {
  long <- finegray(Surv(regional_days, state) ~ ., data = rows[c("regional_days", "risk", "male")], etype = "event")
  coxph(Surv(fgstart, fgstop, fgstatus) ~ risk + male, data = long, weights = fgwt, ties = "breslow")
})
