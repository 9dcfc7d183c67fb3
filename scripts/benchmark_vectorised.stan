// The same model as it is usually written: a predictor and a shape for every patient, one vectorised line.
data { int J; int A; int P; int N; int K; array[3] int centred;
       array[A] int study; array[A] int treated; array[A] int pair; array[N] int arm;
       vector[N] event; vector[N] log_u; matrix[N, K] x; }
parameters { real log_hr; real intercept; real log_shape;
             real<lower=0> study_sd; real<lower=0> study_treatment_sd; real<lower=0> study_shape_sd;
             vector<multiplier=(centred[1] ? 1 : study_sd)>[J] level;
             vector<multiplier=(centred[2] ? 1 : study_shape_sd)>[J] shape;
             vector<multiplier=(centred[3] ? 1 : study_treatment_sd)>[P] deviation;
             vector[K] coefficient; }
model {
  log_hr ~ normal(0, 1); intercept ~ normal(0, 1); log_shape ~ normal(0, 0.3);
  study_sd ~ normal(0, 0.5); study_treatment_sd ~ normal(0, 0.3); study_shape_sd ~ normal(0, 0.2);
  level ~ normal(0, study_sd); shape ~ normal(0, study_shape_sd); deviation ~ normal(0, study_treatment_sd);
  coefficient ~ normal(0, 0.5);
  vector[A] log_k = log_shape + shape[study];
  vector[A] of_arm = intercept + level[study];
  for (a in 1:A) if (treated[a]) of_arm[a] += log_hr + deviation[pair[a]];
  vector[N] eta = of_arm[arm];
  if (K > 0) eta += x * coefficient;
  vector[N] log_cum = eta + exp(log_k)[arm] .* log_u;
  target += dot_product(event, log_k[arm] + log_cum) - sum(exp(log_cum));
}
