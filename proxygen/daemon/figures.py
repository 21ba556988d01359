"""Figures: what the daemon answers to Prometheus, and writes for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from proxygen.apply.outcome import Outcome
from proxygen.assemble import Installation
from proxygen.daemon.log_lines import ERROR, INFO
from proxygen.errors import ProxygenError
from proxygen.host.logs import log_event
from proxygen.model.layout import Layout
from proxygen.model.site import Metrics, Site
from proxygen.reports import metrics

NOWHERE = Metrics()


@dataclass(slots=True)
class FigurePublisher:
    """Keeps the figures where the model wants them; what is in the way is said once."""

    layout: Layout
    told: metrics.Figures | None = None
    server: metrics.MetricsServer | None = None
    wanted: Metrics = NOWHERE
    trouble: str = ""

    def tell(
        self, site: Site, installation: Installation, outcome: Outcome, seconds: float
    ) -> None:
        """Tell the figures after a round."""
        try:
            if metrics.needs_figures(site):
                took = timedelta(seconds=seconds)
                self.told = metrics.round_figures(site, installation, outcome, took) or self.told
            else:
                self.told = None
            self.listen(site.metrics)
            self.publish()
            if self.told:
                metrics.write_figures(self.layout, self.told)
            self.trouble = ""
        except (ProxygenError, OSError) as error:
            if self.trouble != str(error):
                log_event(ERROR, "figures_not_told", what=str(error))
            self.trouble = str(error)

    def model(self, *, right: bool) -> None:
        """Tell whether the model is right now."""
        if self.told and self.told.model_right != right:
            self.told = replace(self.told, model_right=right)
            self.publish()

    def publish(self) -> None:
        """Answer with the present figures."""
        if self.server and self.told:
            self.server.publish(self.told)

    def listen(self, wanted: Metrics) -> None:
        """Listen where the model wants it, and nowhere else; raise OSError if we cannot."""
        place = (wanted.address, wanted.port)
        if self.server and place != (self.wanted.address, self.wanted.port):
            self.server.stop()
            self.server = None
        self.wanted = wanted
        if self.server is None and self.told and wanted.address and wanted.port:
            self.server = metrics.MetricsServer(wanted.address, wanted.port)
            log_event(INFO, "figures", address=wanted.address, port=wanted.port)
