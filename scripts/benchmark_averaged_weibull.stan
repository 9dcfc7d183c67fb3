// ML-NMR as multinma writes it: each row of an averaged arm is the mean of its likelihood at the arm's points,
// vectorised over points. Levels and shapes are free in each study.
data { int J; int N; int M; int A; int P; int K;
       array[N] int study; vector[N] treated; matrix[N, K] x; vector[N] log_u; vector[N] event;
       array[A] int arm_study; vector[A] arm_treated; array[A] matrix[P, K] points;
       array[A] int first; array[A] int size; vector[M] row_log_u; array[M] int row_event; }
parameters { real log_hr; vector[K] coefficient; vector[J] level; vector[J] shape; }
model {
  log_hr ~ normal(0, 10); coefficient ~ normal(0, 1); level ~ normal(0, 10); shape ~ normal(0, 0.3);
  vector[J] k = exp(shape);
  vector[N] log_cum = level[study] + log_hr * treated + x * coefficient + k[study] .* log_u;
  target += dot_product(event, shape[study] + log_cum) - sum(exp(log_cum));
  for (a in 1:A) {
    vector[P] eta = level[arm_study[a]] + log_hr * arm_treated[a] + points[a] * coefficient;
    vector[P] rate = exp(eta);
    for (i in first[a]:(first[a] + size[a] - 1)) {
      real power = k[arm_study[a]] * row_log_u[i];
      if (row_event[i]) target += shape[arm_study[a]] + power + log_sum_exp(eta - exp(power) * rate);
      else target += log_sum_exp(-exp(power) * rate);
    }
  }
}
