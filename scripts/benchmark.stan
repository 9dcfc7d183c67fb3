// The world of the speed benchmark: per-arm sums, H(t) by hand, effects non-centred.
data { int J; int A; int P; int N; array[A] int study; array[A] int treated; array[A] int pair;
       vector[A] d; vector[A] power; vector[N] log_u; array[A] int first; array[A] int size; }
parameters { real log_hr; real intercept; real log_shape;
             real<lower=0> study_sd; real<lower=0> study_treatment_sd; real<lower=0> study_shape_sd;
             vector[J] level; vector[J] shape; vector[P] deviation; }
model {
  log_hr ~ normal(0, 1); intercept ~ normal(0, 1); log_shape ~ normal(0, 0.3);
  study_sd ~ normal(0, 0.5); study_treatment_sd ~ normal(0, 0.3); study_shape_sd ~ normal(0, 0.2);
  level ~ std_normal(); shape ~ std_normal(); deviation ~ std_normal();
  for (a in 1:A) {
    real log_k = log_shape + study_shape_sd * shape[study[a]];
    real eta = intercept + study_sd * level[study[a]];
    if (treated[a]) eta += log_hr + study_treatment_sd * deviation[pair[a]];
    target += d[a] * (log_k + eta) + exp(log_k) * power[a]
              - exp(eta) * sum(exp(exp(log_k) * segment(log_u, first[a], size[a])));
  }
}
