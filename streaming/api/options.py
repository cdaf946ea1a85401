"""What the page may offer."""

from aiohttp import web

from engine.contract import ARKIT, GAZE_RANGE_DEG
from engine.motion.script import GESTURES, POSE_RANGE, PRESETS
from streaming.api.house import HOUSE
from streaming.camera.outline import LENGTHS
from streaming.config import RATES, SIZES
from streaming.contract import CHOSEN, LOOK_AHEADS_MS


def add_routes(app: web.Application) -> None:
    """Add the options' route."""
    app.router.add_get("/api/options", options)


async def options(request: web.Request) -> web.Response:
    """What the page may offer."""
    house = request.app[HOUSE]
    config = house.config
    ranges = dict.fromkeys(ARKIT, (0.0, 1.0)) | {name: (-most, most) for name, most in POSE_RANGE.items()}
    return web.json_response(
        {
            "sizes": SIZES,
            "rates": RATES,
            "size": config.size,
            "fps": config.fps,
            "look_ahead_ms": config.look_ahead_ms,
            "look_aheads_ms": LOOK_AHEADS_MS,
            "portrait": config.portrait,
            "badge": config.badge,
            "presets": [{"id": name, "gesture": name in GESTURES} for name in PRESETS],
            "channels": {name: {"min": low, "max": high} for name, (low, high) in ranges.items()},
            "gaze_range_deg": GAZE_RANGE_DEG,
            "samples": list(house.samples),
            "sources": ["browser", *house.feeds],
            "cameras": ["browser", *(["machine"] if config.camera is not None else [])],
            "factors": CHOSEN,
            "outline": LENGTHS,
            "ready": house.desk.ready,
        }
    )
