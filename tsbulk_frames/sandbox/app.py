"""The composition: every service's routes in one application, and what each request passes before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from tsbulk_frames.sandbox import assets, fileservice, imports, timeseries, tokens
from tsbulk_frames.sandbox.faults import Injected
from tsbulk_frames.sandbox.gate import Authorized, Recorded, SlowLine
from tsbulk_frames.sandbox.refusals import handlers

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.faults import Faults
    from tsbulk_frames.sandbox.imports import JobStore
    from tsbulk_frames.sandbox.model import State
    from tsbulk_frames.sandbox.tokens import TokenIssuer
    from tsbulk_frames.sandbox.uploads import Uploads

__all__ = ["build_app"]


def build_app(
    state: State,
    *,
    jobs: JobStore,
    uploads: Uploads,
    issuer: TokenIssuer,
    faults: Faults,
    latency: float,
    bandwidth: float | None,
) -> Recorded:
    """ASGI application of one sandbox; outermost is the record of what was asked."""
    services = Starlette(
        routes=[
            *tokens.routes(issuer, state.rules),
            *timeseries.routes(state),
            *imports.routes(state, jobs),
            *fileservice.routes(state, uploads),
            *assets.routes(state, issuer.tenant),
        ],
        exception_handlers=handlers(state.clock),
    )
    services.router.redirect_slashes = False
    guarded = Authorized(services, tokens=issuer, clock=state.clock)
    troubled = Injected(guarded, faults, clock=state.clock, revoke=issuer.revoke)
    return Recorded(SlowLine(troubled, latency=latency, bandwidth=bandwidth))
