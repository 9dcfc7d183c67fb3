# Figures of survminer, ggplot2 and base graphics from patients, for the stress set of scripts/benchmark_digitize.py.
#
# Rscript scripts/benchmark_figures.R FOLDER
# FOLDER/jobs.csv has a row a figure (seed, program, device, file, end, step and what its style is made of);
# FOLDER/SEED.csv its patients (arm, time, event). A figure that cannot be drawn is named on standard error.
suppressMessages({
  library(survival)
  library(ggplot2)
  library(survminer)
})
PALETTES <- list(
  c("#F8766D", "#00BFC4", "#7CAE00"), c("#BC3C29", "#0072B5", "#E18727"), c("#E7B800", "#2E9FDF", "#FC4E07"),
  c("#00468B", "#ED0000", "#42B540"), c("#000000", "#DF536B", "#2297E6"), c("#000000", "#868686", "#CD534C")
)
THEMES <- list(theme_survminer, theme_classic, theme_bw, theme_gray, theme_minimal)

open_device <- function(job, path) {
  with(job, switch(device,
    svg = svg(path, width, height), svglite = svglite::svglite(path, width, height),
    pdf = pdf(path, width, height), cairo_pdf = cairo_pdf(path, width, height),
    png = png(path, width * dpi, height * dpi, res = dpi, type = "cairo")
  ))
}

draw_survminer <- function(job, patients, fit, colours, theme) {
  drawn <- ggsurvplot(fit,
    data = patients, conf.int = job$band, conf.int.style = if (job$steps) "step" else "ribbon",
    linetype = if (job$black) "strata" else 1, palette = colours, censor.shape = if (job$bar) "|" else "+",
    censor = job$censor, legend = if (job$inside) c(0.8, 0.85) else job$side, legend.title = if (job$titled) "Arm" else "",
    legend.labs = levels(patients$arm), xlab = "Time in months",
    ylab = if (job$percent) "Overall survival (%)" else "Survival probability", break.time.by = job$step,
    xlim = c(0, job$end), fun = if (job$percent) "pct" else NULL, risk.table = job$table, risk.table.y.text = job$text,
    risk.table.col = if (job$coloured) "strata" else "black", tables.theme = if (job$clean) theme_cleantable() else theme,
    ncensor.plot = FALSE, cumcensor = job$table && job$cumcensor, surv.median.line = if (job$median) "hv" else "none",
    pval = job$pval, size = job$line, ggtheme = theme, tables.height = 0.28, fontsize = 3.2
  )
  print(drawn, newpage = FALSE)
}

draw_ggplot <- function(job, patients, fit, colours, theme) {
  unit <- if (job$percent) 100 else 1
  table <- surv_summary(fit, data = patients)
  if (nlevels(patients$arm) == 1) table$arm <- levels(patients$arm)
  start <- data.frame(time = 0, surv = 1, upper = 1, lower = 1, n.censor = 0, arm = levels(patients$arm))
  table <- rbind(start, table[, names(start)])
  table$arm <- factor(table$arm, levels(patients$arm))
  table <- table[order(table$arm, table$time), ]
  drawn <- ggplot(table, aes(time, unit * surv, colour = arm, linetype = if (job$black) arm else NULL)) +
    geom_step(linewidth = job$line)
  if (job$band && job$steps) {
    drawn <- drawn + geom_step(aes(y = unit * upper), linetype = "dotted", linewidth = 0.4) +
      geom_step(aes(y = unit * lower), linetype = "dotted", linewidth = 0.4)
  }
  if (job$censor) {
    drawn <- drawn + geom_point(data = table[table$n.censor > 0, ], shape = if (job$bar) 124 else 3, size = 2.2, show.legend = job$titled)
  }
  if (job$median) drawn <- drawn + geom_hline(yintercept = unit / 2, linetype = "dashed", colour = "grey40")
  drawn <- drawn + scale_colour_manual(values = colours) +
    scale_x_continuous("Months", breaks = seq(0, job$end, job$step), limits = c(0, max(table$time, job$end))) +
    scale_y_continuous(if (job$percent) "Survival (%)" else "Survival", limits = c(0, unit), breaks = seq(0, unit, unit / 5)) +
    labs(colour = NULL, linetype = NULL) + theme +
    theme(legend.position = if (job$inside) c(0.8, 0.85) else job$side)
  print(drawn)
}

draw_base <- function(job, patients, fit, colours, theme) {
  arms <- levels(patients$arm)
  rows <- length(arms)
  par(mar = c(if (job$table) 5 + 1.2 * rows else 4, if (job$table) 9 else 4, 1.5, if (job$inside) 1 else 8), las = job$las,
    tcl = if (job$inner) 0.3 else -0.4, mgp = c(2.2, 0.7, 0), bty = job$bty, xaxs = if (job$gap) "r" else "i")
  plot(fit,
    col = colours, lty = if (job$black) seq_len(rows) else 1, lwd = 2 * job$line, xlim = c(0, job$end), xaxt = "n",
    mark.time = job$censor, pch = if (job$bar) 124 else 3, conf.int = job$band, xlab = "Months since surgery",
    ylab = if (job$percent) "Overall survival, %" else "Overall survival", fun = function(s) s, yscale = if (job$percent) 100 else 1
  )
  axis(1, seq(0, job$end, job$step))
  if (job$median) abline(h = 0.5, lty = 3, col = "grey")
  if (rows > 1) {
    box <- if (job$titled) "o" else "n"
    if (job$inside) legend("topright", arms, col = colours, lty = if (job$black) seq_len(rows) else 1, lwd = 2 * job$line, bty = box, cex = 0.8)
    if (!job$inside) legend(par("usr")[2], 1, arms, col = colours, lty = if (job$black) seq_len(rows) else 1, lwd = 2 * job$line, bty = box, cex = 0.8, xpd = NA)
  }
  if (job$table) {
    ticks <- seq(0, job$end, job$step)
    mtext("Patients at risk", 1, line = 3.4, at = par("usr")[1], adj = 1, cex = 0.8, las = 1)
    for (row in seq_len(rows)) {
      times <- patients$time[patients$arm == arms[row]]
      mtext(sapply(ticks, function(t) sum(times >= t)), 1, line = 3.4 + row, at = ticks, cex = 0.8, las = 1)
      mtext(arms[row], 1, line = 3.4 + row, at = par("usr")[1] - 0.04 * job$end, adj = 1, cex = 0.8, las = 1, col = if (job$coloured) colours[row] else "black")
    }
  }
}

folder <- commandArgs(TRUE)[1]
jobs <- read.csv(file.path(folder, "jobs.csv"))
draws <- list(survminer = draw_survminer, ggplot2 = draw_ggplot, base = draw_base)
for (row in seq_len(nrow(jobs))) {
  job <- jobs[row, ]
  patients <- read.csv(file.path(folder, paste0(job$seed, ".csv")))
  patients$arm <- factor(patients$arm, unique(patients$arm))
  fit <- if (nlevels(patients$arm) > 1) survfit(Surv(time, event) ~ arm, patients) else survfit(Surv(time, event) ~ 1, patients)
  colours <- if (job$black) rep("#000000", 3) else PALETTES[[job$palette]]
  colours <- colours[seq_along(levels(patients$arm))]
  open_device(job, file.path(folder, job$file))
  tryCatch(
    suppressWarnings(draws[[job$program]](job, patients, fit, colours, THEMES[[job$theme]]())),
    error = function(problem) message(job$seed, " ", job$program, ": ", conditionMessage(problem)),
    finally = invisible(dev.off())
  )
}
