// ML-NMR of the Weibull with rows and points in one matrix: each row of an averaged arm is the mean of its
// likelihood at the arm's points. Rows stand by arm, those with the event first.
data { int J; int N; int M; int A; int P; int K;
       array[N] int study; vector[N] treated; matrix[N, K] x; vector[N] log_u; vector[N] event;
       array[A] int arm_study; vector[A] arm_treated; array[A] matrix[P, K] points;
       array[A] int first; array[A] int size; array[A] int events; vector[M] row_log_u; }
transformed data { vector[P] one = rep_vector(1, P); }
parameters { real log_hr; vector[K] coefficient; vector[J] level; vector[J] shape; }
model {
  log_hr ~ normal(0, 10); coefficient ~ normal(0, 1); level ~ normal(0, 10); shape ~ normal(0, 0.3);
  vector[J] k = exp(shape);
  vector[N] log_cum = level[study] + log_hr * treated + x * coefficient + k[study] .* log_u;
  target += dot_product(event, shape[study] + log_cum) - sum(exp(log_cum));
  for (a in 1:A) {
    int middle = first[a] + events[a];
    int last = first[a] + size[a] - 1;
    vector[P] rate = exp(level[arm_study[a]] + log_hr * arm_treated[a] + points[a] * coefficient);
    vector[events[a]] power = k[arm_study[a]] * row_log_u[first[a]:(middle - 1)];
    target += events[a] * shape[arm_study[a]] + sum(power) + sum(log(exp(-exp(power) * rate') * rate));
    target += sum(log(exp(-exp(k[arm_study[a]] * row_log_u[middle:last]) * rate') * one));
  }
}
