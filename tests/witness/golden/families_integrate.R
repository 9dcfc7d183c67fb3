# Gompertz-Makeham and a mixture of two Weibulls by R's own functions: survival by integrate() of the hazard or by
# pweibull(), restricted mean by integrate(), median by uniroot(); and likelihoods (of the mixture the largest, by
# optim()) of gbsg2, which the Python package lifelines ships:
#   Rscript tests/witness/golden/families_integrate.R DIR > tests/witness/golden/families_integrate.json
# with DIR the folder `datasets` of the installed lifelines.
number <- function(x) paste(format(x, digits = 15), collapse = ", ")
tight <- function(f, from, to) integrate(f, from, to, rel.tol = 1e-12, subdivisions = 1000)$value
answers <- function(alive) sprintf('"survival": [%s], "rmst": %s, "median": %s', number(sapply(c(3, 12, 36), alive)),
  number(tight(function(t) sapply(t, alive), 0, 24)), number(uniroot(function(t) alive(t) - 0.5, c(0.1, 200), tol = 1e-12)$root))

hazard <- function(t, lambda, a, b) lambda + a * exp(b * t)
makeham <- function(lambda, a, b) function(t) exp(-tight(function(x) hazard(x, lambda, a, b), 0, t))
mixture <- function(p, k, s) function(t) p * pweibull(t, k[1], s[1], lower.tail = FALSE) +
  (1 - p) * pweibull(t, k[2], s[2], lower.tail = FALSE)

gbsg2 <- read.csv(file.path(commandArgs(trailingOnly = TRUE)[1], "gbsg2.csv"))
time <- gbsg2$time / 1000
event <- gbsg2$cens
makeham_loss <- function(x) {
  h <- hazard(time, exp(x[1]), exp(x[2]), x[3])
  -sum(event * log(h) - exp(x[1]) * time - exp(x[2]) * expm1(x[3] * time) / x[3])
}
mixture_loss <- function(x) {
  p <- plogis(x[1]); k <- exp(x[2:3]); s <- exp(x[4:5])
  f <- p * dweibull(time, k[1], s[1]) + (1 - p) * dweibull(time, k[2], s[2])
  -sum(ifelse(event == 1, log(f), log(mixture(p, k, s)(time))))
}
best <- function(loss, x) {
  for (i in 1:6) x <- optim(x, loss, method = if (i %% 2) "Nelder-Mead" else "BFGS", control = list(maxit = 5000, reltol = 1e-15))$par
  sprintf('{"x": [%s], "loglik": %s}', number(x), number(-loss(x)))
}
cat("{\n", sprintf('"rising": {%s},\n', answers(makeham(0.02, 0.01, 0.05))),
    sprintf('"falling": {%s},\n', answers(makeham(0.015, 0.09, -0.12))),
    sprintf('"mixture": {%s},\n', answers(mixture(0.4, c(1.3, 0.9), c(8, 30)))),
    # its maximum there has no constant part, so the log-likelihood is of a stated point
    sprintf('"makeham_gbsg2": {"x": [-1.8, -2, 0.4], "loglik": %s},\n', number(-makeham_loss(c(-1.8, -2, 0.4)))),
    sprintf('"mixture_gbsg2": %s,\n', best(mixture_loss, c(0, 0.5, 0, 0, 1.5))),
    sprintf('"versions": "%s"\n}\n', R.version.string), sep = "")
