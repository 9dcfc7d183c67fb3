// The world of the speed benchmark as an expert writes it: H(t) by hand, exact events as sums by arm, covariates (if
// any) as one product. Effects of studies are centred or not by their multiplier: level, shape, deviation.
data { int J; int A; int P; int N; int K; array[3] int centred;
       array[A] int study; array[A] int treated; array[A] int pair; array[A] int first; array[A] int size;
       vector[A] d; vector[A] power; vector[N] log_u; matrix[N, K] x; vector[K] event_x; }
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
  if (K > 0) {
    coefficient ~ normal(0, 0.5);
    target += dot_product(event_x, coefficient);
  }
  vector[K > 0 ? N : 0] of_x;
  if (K > 0) of_x = x * coefficient;
  for (a in 1:A) {
    real log_k = log_shape + shape[study[a]];
    real k = exp(log_k);
    real eta = intercept + level[study[a]];
    if (treated[a]) eta += log_hr + deviation[pair[a]];
    target += d[a] * (log_k + eta) + k * power[a];
    if (K > 0)
      target += -sum(exp(eta + k * segment(log_u, first[a], size[a]) + segment(of_x, first[a], size[a])));
    else
      target += -exp(eta) * sum(exp(k * segment(log_u, first[a], size[a])));
  }
}
