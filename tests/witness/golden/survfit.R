# Golden numbers of tests/witness/golden/survfit.json, from R 4.2.2, survival 3.5.3.
# Data: lifelines.datasets.load_lung().to_csv("lung.csv", index=False) and load_waltons() likewise to waltons.csv;
# then: Rscript survfit.R > survfit.json
library(survival); options(digits = 17)
lung <- read.csv("lung.csv"); lung$event <- lung$status
if (max(lung$event) == 2) lung$event <- lung$event - 1
waltons <- read.csv("waltons.csv")
num <- function(x) paste0("[", paste(ifelse(is.na(x), "null", format(x, digits = 17, trim = TRUE, scientific = FALSE)), collapse = ", "), "]")
one <- function(x) if (is.na(x)) "null" else format(x, digits = 17, trim = TRUE)
f <- survfit(Surv(time, event) ~ 1, data = lung)
i <- f$n.event > 0
s <- summary(f, rmean = 500)$table
d <- survdiff(Surv(time, event) ~ sex, data = lung)
wd <- survdiff(Surv(T, E) ~ group, data = waltons)
wf <- survfit(Surv(T, E) ~ group, data = waltons)
wt <- summary(wf, rmean = 50)$table
cx <- coxph(Surv(time, event) ~ sex, data = lung, ties = "efron")
cw <- coxph(Surv(T, E) ~ group, data = waltons, ties = "efron")
lung$entry <- lung$time * (lung$age %% 5) / 10
ft <- survfit(Surv(entry, time, event) ~ 1, data = lung)
it <- ft$n.event > 0
lung$right <- ifelse(lung$event == 1, ceiling(lung$time / 90) * 90, NA)
lung$left <- floor((lung$time - 1) / 90) * 90
iv <- lung[lung$event == 0 | lung$right > lung$left, ]
iv$left[iv$event == 0] <- iv$time[iv$event == 0]
ft2 <- survfit(Surv(left, right, type = "interval2") ~ 1, data = transform(iv, left = ifelse(left == 0, 0.001, left)))
at <- c(90, 180, 270, 360, 450, 540, 630, 720)
tb <- summary(ft2, times = at)$surv
cat("{\n", '"lung": {"time": ', num(f$time[i]), ',\n"survival": ', num(f$surv[i]), ',\n"at_risk": ', num(f$n.risk[i]), ',\n"events": ', num(f$n.event[i]),
    ',\n"se": ', num(f$std.err[i] * f$surv[i]), ',\n"median": ', one(s["median"]), ', "rmean_500": ', one(s["rmean"]), ', "rmean_500_se": ', one(s["se(rmean)"]),
    ',\n"logrank_sex_chisq": ', one(d$chisq), ', "logrank_sex_observed": ', num(d$obs), ', "logrank_sex_expected": ', num(d$exp),
    ',\n"cox_sex_log_hr": ', one(coef(cx)), ', "cox_sex_se": ', one(sqrt(vcov(cx)[1, 1])), ', "cox_sex_loglik": ', num(cx$loglik), "},\n",
    '"lung_entry": {"time": ', num(ft$time[it]), ',\n"survival": ', num(ft$surv[it]), ',\n"at_risk": ', num(ft$n.risk[it]), "},\n",
    '"lung_intervals": {"time": ', num(at), ', "survival": ', num(tb), "},\n",
    '"waltons": {"groups": ["', paste(names(wf$strata), collapse = '", "'), '"], "median": ', num(wt[, "median"]), ', "rmean_50": ', num(wt[, "rmean"]), ', "rmean_50_se": ', num(wt[, "se(rmean)"]),
    ',\n"logrank_chisq": ', one(wd$chisq), ', "cox_log_hr": ', one(coef(cw)), ', "cox_se": ', one(sqrt(vcov(cw)[1, 1])), "}\n}\n", sep = "")
