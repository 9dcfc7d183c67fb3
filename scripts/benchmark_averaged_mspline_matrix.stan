// The same with M-splines: each study's log coefficients are a random walk from zero, and the baseline is 1 at t0.
data { int J; int N; int M; int A; int P; int K; int F;
       array[N] int study; vector[N] treated; matrix[N, K] x; vector[N] event;
       matrix[N, F] integral; matrix[N, F] spline;
       array[A] int arm_study; vector[A] arm_treated; array[A] matrix[P, K] points;
       array[A] int first; array[A] int size; array[A] int events;
       matrix[M, F] row_integral; matrix[M, F] row_spline;
       row_vector[F] reference; vector[F - 1] step_root; }
transformed data { vector[P] one = rep_vector(1, P); }
parameters { real log_hr; vector[K] coefficient; vector[J] level; real<lower=0> smooth_sd;
             array[J] vector[F - 1] deviation; }
model {
  log_hr ~ normal(0, 10); coefficient ~ normal(0, 1); level ~ normal(0, 10); smooth_sd ~ normal(0, 1);
  matrix[F, J] weight;
  for (j in 1:J) {
    deviation[j] ~ std_normal();
    vector[F] each = exp(append_row(0, cumulative_sum(smooth_sd * step_root .* deviation[j])));
    weight[, j] = each / (reference * each);
  }
  vector[N] eta_known = level[study] + log_hr * treated + x * coefficient;
  vector[N] cum; vector[N] hazard;
  for (i in 1:N) {
    cum[i] = integral[i] * weight[, study[i]];
    hazard[i] = event[i] > 0 ? spline[i] * weight[, study[i]] : 1;
  }
  target += dot_product(event, log(hazard) + eta_known) - sum(cum .* exp(eta_known));
  for (a in 1:A) {
    int middle = first[a] + events[a];
    int last = first[a] + size[a] - 1;
    vector[P] rate = exp(level[arm_study[a]] + log_hr * arm_treated[a] + points[a] * coefficient);
    vector[F] of_study = weight[, arm_study[a]];
    target += sum(log(row_spline[first[a]:(middle - 1)] * of_study));
    target += sum(log(exp(-(row_integral[first[a]:(middle - 1)] * of_study) * rate') * rate));
    target += sum(log(exp(-(row_integral[middle:last] * of_study) * rate') * one));
  }
}
