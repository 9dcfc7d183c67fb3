# Golden numbers of tests/witness/golden/scores_r.json, from R 4.2.2, survival 3.5.3: Rscript scores.R lung.csv > scores_r.json
# (lung.csv as in scores.py).
library(survival); options(digits = 17)
lung <- read.csv(commandArgs(TRUE)[1])
lung$risk <- exp(0.02 * (lung$age - 62) - 0.5 * (lung$sex - 1))
h <- concordance(Surv(time, status) ~ risk, data = lung, reverse = TRUE)
u <- concordance(Surv(time, status) ~ risk, data = lung, reverse = TRUE, timewt = "n/G2")
fit <- coxph(Surv(time, status) ~ age + sex, data = lung)
times <- c(100, 200, 365, 500, 700)
b <- survival:::brier(fit, times = times)
s <- summary(survfit(fit, newdata = lung), times = times)$surv
num <- function(x) paste0("[", paste(format(x, digits = 17, trim = TRUE, scientific = FALSE), collapse = ", "), "]")
cat(sprintf('{"harrell": %.17g, "uno": %.17g, "coefficients": %s, "brier": %s, "survival_first": %s}\n',
            h$concordance, u$concordance, num(coef(fit)), num(b$brier), num(s[, 1])))
write.csv(format(t(s), digits = 17), "/dev/stderr", row.names = FALSE)
