# Weibull fits by R's survreg, on data sets that the Python package lifelines ships. Makes survreg.json beside it:
#   Rscript tests/witness/golden/survreg.R DIR > tests/witness/golden/survreg.json
# with DIR the folder `datasets` of the installed lifelines, which R reads as it is.
#
# survreg: log T = mu + sigma W.   Here: log H(t) = k (log t - log t0) + eta,   k = 1 / sigma,   eta = (log t0 - mu) / sigma.
# So a coefficient b of survreg is -b / sigma on the log hazard. "ours" holds the estimate in the twin's parameters.
library(survival)

folder <- commandArgs(trailingOnly = TRUE)[1]
read <- function(file) read.csv(file.path(folder, file))
lung <- read("lung.csv")
waltons <- read("waltons_dataset.csv")
rossi <- read("rossi.csv")
diabetes <- read("interval_diabetes.csv")
gbsg2 <- read("gbsg2.csv")
heart <- read("stanford_heart.csv")
tight <- survreg.control(rel.tolerance = 1e-13, maxiter = 200)

fit <- function(call, file, t0, ours) {
  m <- eval(call)
  c(describe(call, file, t0), list(
    coefficients = as.list(coef(m)), scale = if (length(m$scale) > 1) as.list(m$scale) else m$scale,
    loglik = m$loglik[length(m$loglik)], ours = ours(m, t0)
  ))
}

describe <- function(call, file, t0) {
  list(call = gsub(" +", " ", paste(deparse(call, width.cutoff = 500), collapse = " ")), file = file, reference_time = t0)
}

# One scale, reference level as intercept, the first coefficient the treatment's, the others covariates'.
common_scale <- function(treatment = NULL, covariates = NULL) {
  function(m, t0) {
    b <- unname(-coef(m)[-1] / m$scale)
    list(
      intercept = unname((log(t0) - coef(m)[1]) / m$scale), log_shape = -log(m$scale),
      log_hr = setNames(as.list(b[seq_along(treatment)]), treatment),
      coefficient = setNames(as.list(b[length(treatment) + seq_along(covariates)]), covariates)
    )
  }
}

# A scale for each treatment: the log hazard ratio is the difference of eta at t0.
scale_by_treatment <- function(m, t0) {
  s <- unname(m$scale)
  b <- unname(coef(m))
  eta <- (log(t0) - c(b[1], b[1] + b[2])) / s
  list(
    intercept = eta[1], log_shape = -log(s[1]), log_hr = list("2" = eta[2] - eta[1]),
    treatment_log_shape = list("2" = log(s[1] / s[2])), coefficient = list()
  )
}

# Each study its own level, under one shape, with a treatment effect that is estimated within studies only.
free_levels <- function(treatment) {
  function(m, t0) {
    b <- coef(m)
    studies <- b[-length(b)]
    list(
      study_effect = as.list(setNames((log(t0) - studies) / m$scale, sub("tgrade", "", names(studies)))), log_shape = -log(m$scale),
      log_hr = setNames(list(-unname(b[length(b)]) / m$scale), treatment), coefficient = list()
    )
  }
}

# Each study its own level and shape. No treatment: a common log hazard ratio is no linear restriction of survreg's.
free_levels_and_shapes <- function(m, t0) {
  s <- m$scale
  b <- unname(coef(m))
  list(
    study_effect = as.list(setNames((log(t0) - b) / unname(s), names(s))),
    study_log_shape = as.list(-log(s)), log_hr = list(), coefficient = list()
  )
}

# survreg knows no entry times: the same likelihood from dweibull and pweibull, maximised by optim.
truncated <- function(par, d) {
  mu <- par[1] + par[2] * d$transplant + par[3] * d$surgery + par[4] * d$age / 10
  shape <- exp(-par[5])
  sum(ifelse(d$event == 1, dweibull(d$stop, shape, exp(mu), log = TRUE),
    pweibull(d$stop, shape, exp(mu), lower.tail = FALSE, log.p = TRUE)
  ) - pweibull(d$start, shape, exp(mu), lower.tail = FALSE, log.p = TRUE))
}

fit_truncated <- function(t0) {
  call <- quote(optim(c(6, 0, 0, 0, 0.5), truncated,
    d = heart, method = "BFGS", control = list(fnscale = -1, reltol = 1e-16, ndeps = rep(1e-5, 5), maxit = 1000)
  ))
  m <- eval(call)
  like_survreg <- list(coefficients = m$par[1:4], scale = exp(m$par[5]))
  c(describe(call, "stanford_heart.csv", t0), list(
    likelihood = paste(deparse(body(truncated)), collapse = "\n"), par = m$par, loglik = truncated(m$par, heart),
    ours = common_scale("1", c("surgery", "age"))(like_survreg, t0)
  ))
}

json <- function(x) {
  if (is.list(x)) {
    items <- sprintf("\"%s\": %s", names(x), vapply(x, json, ""))
    return(sprintf("{%s}", paste(items, collapse = ", ")))
  }
  value <- if (is.character(x)) encodeString(x, quote = "\"") else sprintf("%.17g", x)
  if (length(value) == 1) value else sprintf("[%s]", paste(value, collapse = ", "))
}

blocks <- list(
  lung = fit(quote(survreg(Surv(time, status) ~ 1, data = lung, dist = "weibull", control = tight)),
    "lung.csv", 300, common_scale()
  ),
  lung_sex_age = fit(
    quote(survreg(Surv(time, status) ~ factor(sex) + I((age - 60) / 10),
      data = lung, dist = "weibull", control = tight
    )),
    "lung.csv", 300, common_scale("2", "age")
  ),
  lung_shape_by_sex = fit(
    quote(survreg(Surv(time, status) ~ factor(sex) + strata(sex), data = lung, dist = "weibull", control = tight)),
    "lung.csv", 300, scale_by_treatment
  ),
  waltons = fit(quote(survreg(Surv(T, E) ~ group, data = waltons, dist = "weibull", control = tight)),
    "waltons_dataset.csv", 50, common_scale("miR-137")
  ),
  rossi = fit(
    quote(survreg(Surv(week, arrest) ~ fin + I((age - 25) / 5) + race + wexp + mar + paro + prio,
      data = rossi, dist = "weibull", control = tight
    )),
    "rossi.csv", 52, common_scale("1", c("age", "race", "wexp", "mar", "paro", "prio"))
  ),
  rossi_weighted = fit(
    quote(survreg(Surv(week, arrest) ~ fin,
      data = rossi, weights = rossi$prio / 4 + 0.5, dist = "weibull", control = tight
    )),
    "rossi.csv", 52, common_scale("1")
  ),
  diabetes_interval = fit(
    quote(survreg(Surv(ifelse(left == 0, NA, left), right, type = "interval2") ~ gender,
      data = diabetes, dist = "weibull", control = tight
    )),
    "interval_diabetes.csv", 15, common_scale("male")
  ),
  gbsg2_free_levels = fit(
    quote(survreg(Surv(time, cens) ~ 0 + tgrade + horTh, data = gbsg2, dist = "weibull", control = tight)),
    "gbsg2.csv", 1000, free_levels("yes")
  ),
  gbsg2_free_shapes = fit(
    quote(survreg(Surv(time, cens) ~ 0 + tgrade + strata(tgrade), data = gbsg2, dist = "weibull", control = tight)),
    "gbsg2.csv", 1000, free_levels_and_shapes
  ),
  heart_truncated = fit_truncated(100)
)
versions <- list(R = R.version.string, survival = as.character(packageVersion("survival")), data = "lifelines 0.30.0")
top <- c(list(versions = versions), blocks)
cat("{\n", paste(sprintf("\"%s\": %s", names(top), vapply(top, json, "")), collapse = ",\n"), "\n}\n", sep = "")
