# Golden numbers of tests/witness/golden/competing.json, from R 4.2.2, survival 3.5.3.
# Data: python -c "import pandas as pd; from tests.builders.causes import patients;
#   pd.DataFrame(patients(300, 11)).to_csv('competing.csv', index=False)"; then: Rscript competing.R > competing.json
library(survival); options(digits = 17)
rows <- read.csv("competing.csv")
rows$state <- factor(ifelse(rows$event == 0, "censored", rows$cause), levels = c("censored", "failure", "death"))
num <- function(x) paste0("[", paste(format(x, digits = 17, trim = TRUE, scientific = FALSE), collapse = ", "), "]")
arm <- function(name) {
  fit <- survfit(Surv(time, state) ~ 1, data = rows[rows$treatment == name, ])
  at <- summary(fit, times = c(6, 12, 24))
  sojourn <- summary(fit, rmean = 24)$table[, "rmean"]
  paste0('"', name, '": {"failure": ', num(at$pstate[, 2]), ',\n"death": ', num(at$pstate[, 3]),
         ',\n"se_failure": ', num(at$std.err[, 2]), ',\n"se_death": ', num(at$std.err[, 3]),
         ',\n"time_lost_24": ', num(sojourn[c(2, 3)]), '}')
}
cox <- function(which) {
  fit <- coxph(Surv(time, rows$state == which) ~ treatment, data = rows)
  paste0('"', which, '": ', num(c(coef(fit), sqrt(vcov(fit)[1, 1]))))
}
cat('{\n"arms": {', arm("a"), ",\n", arm("b"), '},\n"cox_log_hr_and_se": {', cox("failure"), ", ", cox("death"), "}\n}\n", sep = "")
