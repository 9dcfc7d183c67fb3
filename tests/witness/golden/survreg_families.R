# Fits of R's survreg by other laws than the Weibull, on a data set that the Python package lifelines ships:
#   Rscript tests/witness/golden/survreg_families.R DIR > tests/witness/golden/survreg_families.json
# with DIR the folder `datasets` of the installed lifelines.
#
# survreg: log T = mu + b x + sigma W. Here eta = mu + b x - log t0, and log_sd = log sigma (log-normal) or
# log_shape = -log sigma (Weibull of accelerated time, log-logistic).
library(survival)
gbsg2 <- read.csv(file.path(commandArgs(trailingOnly = TRUE)[1], "gbsg2.csv"))
tight <- survreg.control(rel.tolerance = 1e-13, maxiter = 200)
fit <- function(dist) {
  m <- survreg(Surv(time, cens) ~ factor(horTh), data = gbsg2, dist = dist, control = tight)
  number <- function(x) format(x, digits = 17)
  sprintf('"%s": {"mu": %s, "b": %s, "sigma": %s, "loglik": %s}', dist, number(coef(m)[1]), number(coef(m)[2]),
          number(m$scale), number(m$loglik[2]))
}
cat("{\n", paste(sapply(c("exponential", "weibull", "lognormal", "loglogistic"), fit), collapse = ",\n "), ",\n",
    sprintf(' "versions": "%s, survival %s"\n}\n', R.version.string, packageVersion("survival")), sep = "")
