# R's numbers for tests/test_follow_up.py. Run in this folder: Rscript --vanilla make_follow_up.R
# (Debian: r-base-core r-cran-survival). Reads the public tables that make_survival.R wrote; writes follow_up.csv:
# median follow-up by reverse Kaplan-Meier with log-log limits, overall and by group.
library(survival)
options(digits = 17)
out <- NULL
put <- function(case, data, by) {
  groups <- c(list(all = data), if (is.null(by)) NULL else split(data, data[[by]]))
  for (g in names(groups)) {
    fit <- survfit(Surv(days, 1 - event) ~ 1, data = groups[[g]], conf.type = "log-log")
    s <- summary(fit)$table
    alive <- groups[[g]]$days[groups[[g]]$event == 0]
    out <<- rbind(out, data.frame(
      case = case, group = g, n = nrow(groups[[g]]), n_deaths = sum(groups[[g]]$event), median_days = s[["median"]],
      low = s[["0.95LCL"]], high = s[["0.95UCL"]], alive_median_days = median(alive)
    ))
  }
}
put("lung", read.csv("lung.csv"), "sex")
put("pbc", read.csv("pbc.csv"), "stage")
put("pbc_bili", read.csv("pbc_bili.csv"), NULL)
mgus <- read.csv("mgus.csv")
put("mgus", transform(mgus, event = as.integer(state > 0)), "sex")
tiny <- read.csv("tiny_survival.csv")
put("tiny_survival", transform(tiny, days = time, event = status), "group")
write.csv(out, "follow_up.csv", row.names = FALSE, quote = FALSE)
