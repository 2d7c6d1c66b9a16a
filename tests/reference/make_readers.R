# Makes readers.json: pROC's values for each reader of van_dyke.csv, spin-echo against cine MRI.
# Run in this folder: Rscript make_readers.R    Debian packages: r-base-core r-cran-proc r-cran-jsonlite
suppressMessages({library(pROC); library(jsonlite)})
d <- read.csv("van_dyke.csv")
out <- lapply(1:5, function(j) {
  both <- lapply(c("se", "cine"), function(m)
    roc(d$dissection, d[[paste0("reader", j, "_", m)]], direction = "<", levels = c(0, 1), quiet = TRUE))
  test <- roc.test(both[[1]], both[[2]], method = "delong", paired = TRUE)
  list(auc = sapply(both, function(r) as.numeric(auc(r))), variance = sapply(both, var),
       covariance = cov(both[[1]], both[[2]]), z = as.numeric(test$statistic), p_value = test$p.value,
       difference = as.numeric(auc(both[[1]]) - auc(both[[2]])))
})
cat(toJSON(list(r = R.version.string, pROC = as.character(packageVersion("pROC")), readers = out),
           digits = 12, auto_unbox = TRUE, pretty = TRUE), file = "readers.json")
