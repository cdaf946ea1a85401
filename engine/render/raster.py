# pyright: basic
"""Pixels: a z-buffered triangle rasteriser whose edges, and only they, are sampled several times (numba).

A frame is drawn in five steps over the same triangles:

1. `fill_opaque` draws opaque triangles with one sample a pixel;
2. `mark_edges` lists the pixels that a visible outline crosses (the rim of a
   hole, or an edge between a front and a back side);
3. `cover_edges` finds, for those pixels alone, which triangle is seen at each
   of `SAMPLES` points;
4. `resolve_edges` gives them the mean colour of what those points see;
5. `blend_soft` lays the triangles over it whose texture is partly transparent.

Positions are rounded to 1/256 px and edges follow the top-left rule, so
triangles that share an edge neither overlap nor leave a gap. Textures are
uint64[h, w], four channels in 16-bit lanes: one multiplication weighs a whole
texel, and weights of 256 in sum reproduce it exactly.

Types of kernels are numba's to infer (hence pyright's basic mode), and all of
them are in this one file for the reason that `kernel` gives.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.render.kernel import kernel

SAMPLES = 8
_OFFSETS = np.array([(1, -3), (-1, 3), (5, 1), (-3, -5), (-5, 5), (-7, -1), (3, 7), (7, -7)], np.int64) * 16
"""int64[SAMPLES, 2]: where a pixel is sampled, in 1/256 px from its centre; all rows and columns differ."""

TILE_BITS = 2
TILE = 1 << TILE_BITS  # px, side of the squares in which marked pixels are looked for
_HIDDEN = 6.0  # px of the working frame: an outline this far behind what is seen there is hidden
_CONTACT = 1.0  # px of the working frame: something soft this far before what it covers hides it as much as it can
_MINIFIED = 1.3  # texels per pixel from which on a second tap is taken

_LANE = np.uint64(0xFF)
_ROUND = np.uint64(0x0080_0080_0080_0080)
_EACH = np.uint64(0x00FF_00FF_00FF_00FF)


class Mesh(NamedTuple):
    """Where triangles are.

    Attributes:
        grid: int32[V, 2], x and y in 1/256 px of the picture, pixel centres at whole pixels.
        near: float32[V], depth, larger is nearer.
        triangles: int32[T, 3].
        kind: uint8[T]: bit 0 two-sided, bit 1 coloured by `shade`, bits 4.. index of its clip rectangle.
        piece: uint8[T], which piece of surface a triangle belongs to, 0 for the skin.
        clip: int64[C, 4]: x0, y0, x1, y1 (inclusive) outside of which triangles of that index need not be drawn.
    """

    grid: NDArray[np.int32]
    near: NDArray[np.float32]
    triangles: NDArray[np.int32]
    kind: NDArray[np.uint8]
    piece: NDArray[np.uint8]
    clip: NDArray[np.int64]


class Look(NamedTuple):
    """What triangles look like.

    Attributes:
        texels: uint64[rows * pitch]; pitch, rows: its width and height.
        uv: float32[V, 2] px, inside the texture by at least 1/128 px.
        shade: float32[V, 3], and light: float32[V], factors of the colour.
        overlay_start: int32[T + 1]; overlay_of: int32[N]: overlays of triangle k are overlay_of[start[k]:start[k + 1]].
        overlay_uv: float32[O, V, 2] px; overlay_mask: float32[O, V]; strength: float32[O], opacity of each overlay.
    """

    texels: NDArray[np.uint64]
    pitch: int
    rows: int
    uv: NDArray[np.float32]
    shade: NDArray[np.float32]
    light: NDArray[np.float32]
    overlay_start: NDArray[np.int32]
    overlay_of: NDArray[np.int32]
    overlay_uv: NDArray[np.float32]
    overlay_mask: NDArray[np.float32]
    strength: NDArray[np.float32]


@kernel
def _mix(texels, pitch, a, b):
    """The texel at (a, b) in 1/256 px, which must lie inside, bilinear, in four 16-bit lanes."""
    fx, fy = a & 255, b & 255
    both = (fx * fy + 128) >> 8
    at = (b >> 8) * pitch + (a >> 8)
    total = (
        texels[np.uint64(at)] * np.uint64(256 - fx - fy + both)
        + texels[np.uint64(at + 1)] * np.uint64(fx - both)
        + texels[np.uint64(at + pitch)] * np.uint64(fy - both)
        + texels[np.uint64(at + pitch + 1)] * np.uint64(both)
    )
    return ((total + _ROUND) >> np.uint64(8)) & _EACH


@kernel
def _texel(look, u, v):
    """The texel at (u, v) px or nearest to it."""
    a = min(max(int(u * 256.0 + 0.5), 0), (look.pitch - 1) * 256 - 1)
    b = min(max(int(v * 256.0 + 0.5), 0), (look.rows - 1) * 256 - 1)
    return _mix(look.texels, look.pitch, a, b)


@kernel
def _channels(texel):
    """Four lanes as floats 0..255."""
    return (
        float(np.int64(texel & _LANE)),
        float(np.int64((texel >> np.uint64(16)) & _LANE)),
        float(np.int64((texel >> np.uint64(32)) & _LANE)),
        float(np.int64((texel >> np.uint64(48)) & _LANE)),
    )


@kernel
def _byte(value):
    return np.uint8(min(max(value + 0.5, 0.0), 255.0))


@kernel
def _owns(dx, dy):
    """0 if points exactly on the edge (dx, dy) belong to the triangle on its inner side, else 1."""
    return 0 if dy < 0 or (dy == 0 and dx > 0) else 1


@kernel
def _corners(grid, triangles, k):
    """Vertices and positions of triangle k, wound so that its area is positive; twice the signed area it had."""
    a, b, c = np.uint64(triangles[k, 0]), np.uint64(triangles[k, 1]), np.uint64(triangles[k, 2])
    ax, ay = np.int64(grid[a, 0]), np.int64(grid[a, 1])
    bx, by = np.int64(grid[b, 0]), np.int64(grid[b, 1])
    cx, cy = np.int64(grid[c, 0]), np.int64(grid[c, 1])
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area < 0:
        return a, c, b, ax, ay, cx, cy, bx, by, area
    return a, b, c, ax, ay, bx, by, cx, cy, area


@kernel
def _colour(look, k, a, b, c, w0, w1, w2, du, dv, taps):
    """Colour and opacity (0..255) of triangle k at barycentric (w0, w1, w2); `taps` along +-(du, dv) are averaged."""
    u = w0 * look.uv[a, 0] + w1 * look.uv[b, 0] + w2 * look.uv[c, 0]
    v = w0 * look.uv[a, 1] + w1 * look.uv[b, 1] + w2 * look.uv[c, 1]
    if taps > 1:
        red, green, blue, alpha = 0.0, 0.0, 0.0, 0.0
        for tap in range(taps):
            step = (2 * tap + 1) / taps - 1.0
            r, g, bl, al = _channels(_texel(look, u + step * du, v + step * dv))
            red += r
            green += g
            blue += bl
            alpha += al
        share = 1.0 / taps
        red, green, blue, alpha = red * share, green * share, blue * share, alpha * share
    else:
        red, green, blue, alpha = _channels(_texel(look, u, v))
    for j in range(look.overlay_start[k], look.overlay_start[k + 1]):
        o = look.overlay_of[j]
        if look.strength[o] > 0:
            u = w0 * look.overlay_uv[o, a, 0] + w1 * look.overlay_uv[o, b, 0] + w2 * look.overlay_uv[o, c, 0]
            v = w0 * look.overlay_uv[o, a, 1] + w1 * look.overlay_uv[o, b, 1] + w2 * look.overlay_uv[o, c, 1]
            r, g, bl, al = _channels(_texel(look, u, v))
            mask = w0 * look.overlay_mask[o, a] + w1 * look.overlay_mask[o, b] + w2 * look.overlay_mask[o, c]
            cover = min(max(mask * look.strength[o], 0.0), 1.0) * al * (1.0 / 255.0)
            red += cover * (r - red)
            green += cover * (g - green)
            blue += cover * (bl - blue)
    lit = w0 * look.light[a] + w1 * look.light[b] + w2 * look.light[c]
    red *= lit * (w0 * look.shade[a, 0] + w1 * look.shade[b, 0] + w2 * look.shade[c, 0])
    green *= lit * (w0 * look.shade[a, 1] + w1 * look.shade[b, 1] + w2 * look.shade[c, 1])
    blue *= lit * (w0 * look.shade[a, 2] + w1 * look.shade[b, 2] + w2 * look.shade[c, 2])
    return red, green, blue, alpha


@kernel
def _footprint(uv, a, b, c, ax, ay, bx, by, cx, cy, inverse):
    """Gradients (du/dx, du/dy, dv/dx, dv/dy) in texels per pixel; taps and half their reach where they are steep."""
    u1, u2 = uv[b, 0] - uv[a, 0], uv[c, 0] - uv[a, 0]
    v1, v2 = uv[b, 1] - uv[a, 1], uv[c, 1] - uv[a, 1]
    x1, x2, y1, y2 = bx - ax, cx - ax, by - ay, cy - ay
    ux, uy = (u1 * y2 - u2 * y1) * inverse, (u2 * x1 - u1 * x2) * inverse
    vx, vy = (v1 * y2 - v2 * y1) * inverse, (v2 * x1 - v1 * x2) * inverse
    across, down = ux * ux + vx * vx, uy * uy + vy * vy
    if across > down:
        du, dv, squared = ux, vx, across
    else:
        du, dv, squared = uy, vy, down
    taps = 1
    if squared > _MINIFIED * _MINIFIED:
        ratio = np.sqrt(squared)
        taps = 2 if ratio < 2.6 else 4
        reach = 0.5 * min(ratio - _MINIFIED, 4.0) / ratio
        du *= reach
        dv *= reach
    return ux, uy, vx, vy, du, dv, taps


@kernel
def _is_plain(look, k):
    """Whether triangle k shows no overlay now."""
    for j in range(look.overlay_start[k], look.overlay_start[k + np.uint64(1)]):
        if look.strength[look.overlay_of[j]] > 0:
            return False
    return True


@kernel
def fill_opaque(first, last, beyond, mesh, look, width, rgb, depth, owner, facing, bounds):
    """Draw triangles `first`..`last` with one sample a pixel; note which way each faces, also of those to `beyond`.

    `width` is the picture's, `rgb` uint8[H * W * 3], `depth` float32[H * W]
    (larger is nearer), `facing` int8[T], out: 1 front, -1 back, 0 seen from
    its edge; `bounds` int16[T, 4], out: x0, y0, x1, y1 of the pixels whose
    squares a triangle may touch, x0 > x1 if none; `owner` uint8[H * W],
    out: the piece of surface seen at each pixel drawn, and 0 inside clip
    rectangles where nothing is drawn.
    """
    for box in range(1, mesh.clip.shape[0]):
        for y in range(mesh.clip[box, 1], mesh.clip[box, 3] + 1):
            for x in range(mesh.clip[box, 0], mesh.clip[box, 2] + 1):
                owner[y * width + x] = 0
    one, three = np.uint64(1), np.uint64(3)
    for number in range(first, beyond):
        k = np.uint64(number)
        a, b, c, ax, ay, bx, by, cx, cy, area = _corners(mesh.grid, mesh.triangles, k)
        facing[k] = 1 if area > 0 else (-1 if area < 0 else 0)
        bounds[k, 0], bounds[k, 2] = 1, 0
        if area == 0 or (area < 0 and mesh.kind[k] & 1 == 0):
            continue
        area = abs(area)
        box = mesh.kind[k] >> 4
        left, right, top, bottom = min(ax, bx, cx), max(ax, bx, cx), min(ay, by, cy), max(ay, by, cy)
        x0, x1 = max(mesh.clip[box, 0], (left + 127) >> 8), min(mesh.clip[box, 2], (right + 128) >> 8)
        y0, y1 = max(mesh.clip[box, 1], (top + 127) >> 8), min(mesh.clip[box, 3], (bottom + 128) >> 8)
        if x0 > x1 or y0 > y1:
            continue
        bounds[k, 0], bounds[k, 1], bounds[k, 2], bounds[k, 3] = x0, y0, x1, y1
        if number >= last:
            continue
        x0, x1 = max(x0, (left + 255) >> 8), min(x1, right >> 8)
        y0, y1 = max(y0, (top + 255) >> 8), min(y1, bottom >> 8)
        if x0 > x1 or y0 > y1:
            continue
        # e0 is opposite a: proportional to a's barycentric weight; likewise e1, e2
        e0x, e1x, e2x = (by - cy) << 8, (cy - ay) << 8, (ay - by) << 8
        e0y, e1y, e2y = (cx - bx) << 8, (ax - cx) << 8, (bx - ax) << 8
        px, py = x0 << 8, y0 << 8
        e0 = (cx - bx) * (py - by) - (cy - by) * (px - bx) - _owns(cx - bx, cy - by)
        e1 = (ax - cx) * (py - cy) - (ay - cy) * (px - cx) - _owns(ax - cx, ay - cy)
        e2 = (bx - ax) * (py - ay) - (by - ay) * (px - ax) - _owns(bx - ax, by - ay)
        while y0 <= y1:  # many triangles are smaller than a pixel and meet no centre
            f0, f1, f2, x = e0, e1, e2, x0
            while (f0 | f1 | f2) < 0 and x <= x1:
                f0 += e0x
                f1 += e1x
                f2 += e2x
                x += 1
            if x <= x1:
                break
            e0 += e0y
            e1 += e1y
            e2 += e2y
            y0 += 1
        if y0 > y1:
            continue
        share = 1.0 / area
        inverse = 256.0 * share  # attributes change by (difference * 1/256 px) * inverse per pixel
        ux, uy, vx, vy, du, dv, taps = _footprint(look.uv, a, b, c, ax, ay, bx, by, cx, cy, inverse)
        z0, z1, z2 = mesh.near[a], mesh.near[b], mesh.near[c]
        zx = ((z1 - z0) * (cy - ay) - (z2 - z0) * (by - ay)) * inverse
        zy = ((z2 - z0) * (bx - ax) - (z1 - z0) * (cx - ax)) * inverse
        plain = taps == 1 and mesh.kind[k] & 2 == 0 and _is_plain(look, k)
        ox, oy = x0 - ax * (1.0 / 256.0), y0 - ay * (1.0 / 256.0)
        z_row = z0 + zx * ox + zy * oy
        u_row = np.int64((look.uv[a, 0] + ux * ox + uy * oy) * 65536.0) + 128
        v_row = np.int64((look.uv[a, 1] + vx * ox + vy * oy) * 65536.0) + 128
        u_step, v_step = np.int64(ux * 65536.0), np.int64(vx * 65536.0)
        u_down, v_down = np.int64(uy * 65536.0), np.int64(vy * 65536.0)
        l0, l1, l2 = look.light[a], look.light[b] - look.light[a], look.light[c] - look.light[a]
        lx, ly = (l1 * (cy - ay) - l2 * (by - ay)) * inverse, (l2 * (bx - ax) - l1 * (cx - ax)) * inverse
        l_row = np.int64((l0 + lx * ox + ly * oy) * 65536.0)
        l_step, l_down = np.int64(lx * 65536.0), np.int64(ly * 65536.0)
        lit = abs(l0 - 1.0) + abs(l1) + abs(l2) > 0.002
        row = y0 * width + x0
        for _ in range(y0, y1 + 1):
            f0, f1, f2 = e0, e1, e2
            x = 0
            while (f0 | f1 | f2) < 0 and x <= x1 - x0:
                f0 += e0x
                f1 += e1x
                f2 += e2x
                x += 1
            at = np.uint64(row + x)
            z = z_row + x * zx
            u, v, light = u_row + x * u_step, v_row + x * v_step, l_row + x * l_step
            while (f0 | f1 | f2) >= 0 and x <= x1 - x0:
                if z > depth[at]:
                    depth[at] = z
                    owner[at] = mesh.piece[k]
                    if plain:
                        texel = _mix(look.texels, look.pitch, u >> 8, v >> 8)
                        red = np.int64(texel & _LANE)
                        green = np.int64((texel >> np.uint64(16)) & _LANE)
                        blue = np.int64((texel >> np.uint64(32)) & _LANE)
                        if lit:
                            red = min((red * light + 32768) >> 16, 255)
                            green = min((green * light + 32768) >> 16, 255)
                            blue = min((blue * light + 32768) >> 16, 255)
                        rgb[at * three] = np.uint8(red)
                        rgb[at * three + one] = np.uint8(green)
                        rgb[at * three + one + one] = np.uint8(blue)
                    else:
                        w0, w1 = f0 * share, f1 * share
                        r, g, b8, _ = _colour(look, k, a, b, c, w0, w1, 1.0 - w0 - w1, du, dv, taps)
                        rgb[at * three] = _byte(r)
                        rgb[at * three + one] = _byte(g)
                        rgb[at * three + one + one] = _byte(b8)
                f0 += e0x
                f1 += e1x
                f2 += e2x
                x += 1
                at += one
                z += zx
                u += u_step
                v += v_step
                light += l_step
            e0 += e0y
            e1 += e1y
            e2 += e2y
            row += width
            z_row += zy
            u_row += u_down
            v_row += v_down
            l_row += l_down


@kernel
def _mark(x, y, z, width, height, depth, slot, marked, count, tiles):
    """Put pixel (x, y) on the list of marked ones unless an outline at depth z is hidden there."""
    if x < 0 or y < 0 or x >= width or y >= height or count == marked.shape[0]:
        return count
    at = y * width + x
    if slot[at] >= 0 or z < depth[at] - _HIDDEN:
        return count
    slot[at] = count
    marked[count] = at
    tiles[y // TILE, x // TILE] = 1
    return count + 1


@kernel
def mark_edges(first, soft_from, screen, edges, sides, kind, facing, width, depth, slot, marked, tiles):
    """List the pixels whose square a visible outline crosses.

    Triangles before `first` are not being drawn, those from `soft_from` on have
    no outline. `screen` float32[V, 3]: x, y in pixels, and depth. `edges`
    int32[E, 2]: vertices; `sides` int32[E, 2]: the triangles beside each, -1 for
    none. `slot` int32[H * W]: index into `marked` or -1; must be all -1, and is
    undone by `close_edges`. `marked` int32[N]: pixels. `tiles` uint8[.., ..]:
    squares that hold a marked pixel.

    Returns:
        How many pixels were marked.
    """
    count, height = 0, depth.shape[0] // width
    for i in range(edges.shape[0]):
        left, right = sides[i, 0], sides[i, 1]
        if right < 0:
            drawn = facing[left] > 0 or (facing[left] < 0 and kind[left] & 1 != 0)
            if not drawn or left < first or left >= soft_from:
                continue
        elif facing[left] == facing[right] or (left >= soft_from and right >= soft_from) or (left < first and right < first):
            continue
        a, b = edges[i, 0], edges[i, 1]
        ax, ay, az, bx, by, bz = screen[a, 0], screen[a, 1], screen[a, 2], screen[b, 0], screen[b, 1], screen[b, 2]
        steep = abs(by - ay) > abs(bx - ax)
        if steep:
            ax, ay, bx, by = ay, ax, by, bx
        if ax > bx:
            ax, ay, az, bx, by, bz = bx, by, bz, ax, ay, az
        slope = (by - ay) / max(bx - ax, np.float32(1e-6))
        rise = (bz - az) / max(bx - ax, np.float32(1e-6))
        for p in range(int(np.floor(ax + 0.5)), int(np.floor(bx + 0.5)) + 1):
            s, e = max(p - 0.5, ax), min(p + 0.5, bx)
            at_s, at_e = ay + (s - ax) * slope, ay + (e - ax) * slope
            z = max(az + (s - ax) * rise, az + (e - ax) * rise)
            for q in range(int(np.floor(min(at_s, at_e) + 0.5)), int(np.floor(max(at_s, at_e) + 0.5)) + 1):
                if steep:
                    count = _mark(q, p, z, width, height, depth, slot, marked, count, tiles)
                else:
                    count = _mark(p, q, z, width, height, depth, slot, marked, count, tiles)
    return count


@kernel
def mark_crossings(count, clip, width, owner, depth, slot, marked, tiles):
    """Also list the pixels behind openings where two pieces of surface (tongue, gums, teeth) meet or pass through each other.

    Continues with `count` pixels marked; returns how many are now.
    """
    height = depth.shape[0] // width
    for box in range(1, clip.shape[0]):
        for y in range(clip[box, 1], min(clip[box, 3], height - 2) + 1):
            for x in range(clip[box, 0], min(clip[box, 2], width - 2) + 1):
                here = y * width + x
                if owner[here] > 0:
                    if owner[here + 1] > 0 and owner[here + 1] != owner[here]:
                        count = _mark(x, y, depth[here], width, height, depth, slot, marked, count, tiles)
                        count = _mark(x + 1, y, depth[here + 1], width, height, depth, slot, marked, count, tiles)
                    below = here + width
                    if owner[below] > 0 and owner[below] != owner[here]:
                        count = _mark(x, y, depth[here], width, height, depth, slot, marked, count, tiles)
                        count = _mark(x, y + 1, depth[below], width, height, depth, slot, marked, count, tiles)
    return count


@kernel
def open_edges(count, marked, depth, near, seen):
    """Start all samples of the marked pixels from what stands still: `depth` float32[H * W], triangle -1."""
    for i in range(count):
        for s in range(SAMPLES):
            near[i, s] = depth[marked[i]]
            seen[i, s] = -1


@kernel
def cover_edges(first, soft_from, last, mesh, width, bounds, slot, tiles, near, seen):
    """Find which of the opaque triangles `first`..`soft_from` is nearest at each sample of the marked pixels.

    Samples that see none of them go to the first of the partly transparent ones up to `last` that holds them.

    `near` float32[N, SAMPLES] is the depth so far, `seen` int32[N, SAMPLES] the triangle so far.
    """
    reach = 128  # 1/256 px: samples lie within half a pixel of the centre
    shift, rise = np.empty((3, SAMPLES), np.int64), np.empty(SAMPLES, np.float64)
    for number in range(first, last):
        k = np.uint64(number)
        x0, x1 = np.int64(bounds[k, 0]), np.int64(bounds[k, 2])
        if x0 > x1:
            continue
        y0, y1 = np.int64(bounds[k, 1]), np.int64(bounds[k, 3])
        touched = False
        for ty in range(y0 >> TILE_BITS, (y1 >> TILE_BITS) + 1):
            for tx in range(x0 >> TILE_BITS, (x1 >> TILE_BITS) + 1):
                touched = touched or tiles[ty, tx] != 0
        if not touched:
            continue
        a, b, c, ax, ay, bx, by, cx, cy, area = _corners(mesh.grid, mesh.triangles, k)
        slack0 = reach * (abs(cx - bx) + abs(cy - by)) - _owns(cx - bx, cy - by)
        slack1 = reach * (abs(ax - cx) + abs(ay - cy)) - _owns(ax - cx, ay - cy)
        slack2 = reach * (abs(bx - ax) + abs(by - ay)) - _owns(bx - ax, by - ay)
        ready, z0, zx, zy = False, 0.0, 0.0, 0.0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                at = slot[y * width + x]
                if at < 0:
                    continue
                px, py = x << 8, y << 8
                e0 = (cx - bx) * (py - by) - (cy - by) * (px - bx)
                e1 = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
                e2 = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
                if ((e0 + slack0) | (e1 + slack1) | (e2 + slack2)) < 0:
                    continue
                if not ready:
                    ready = True
                    share, z0 = 1.0 / abs(area), mesh.near[a]
                    z1, z2 = mesh.near[b] - z0, mesh.near[c] - z0
                    zx, zy = (z1 * (cy - ay) - z2 * (by - ay)) * share, (z2 * (bx - ax) - z1 * (cx - ax)) * share
                    for s in range(SAMPLES):
                        dx, dy = _OFFSETS[s, 0], _OFFSETS[s, 1]
                        shift[0, s] = (cx - bx) * dy - (cy - by) * dx - _owns(cx - bx, cy - by)
                        shift[1, s] = (ax - cx) * dy - (ay - cy) * dx - _owns(ax - cx, ay - cy)
                        shift[2, s] = (bx - ax) * dy - (by - ay) * dx - _owns(bx - ax, by - ay)
                        rise[s] = zx * dx + zy * dy
                z = z0 + zx * (px - ax) + zy * (py - ay)
                for s in range(SAMPLES):
                    inside = ((e0 + shift[0, s]) | (e1 + shift[1, s]) | (e2 + shift[2, s])) >= 0
                    if inside and z + rise[s] > near[at, s] and (number < soft_from or seen[at, s] == -1):
                        near[at, s] = z + rise[s]
                        seen[at, s] = number


@kernel
def resolve_edges(count, soft_from, marked, mesh, look, width, seen, still, rgb):
    """Give each marked pixel the mean colour of its samples; `still` uint8[H * W * 3] is behind all triangles.

    A triangle is asked for its colour at the pixel's centre, so that a picture
    at rest is reproduced, but no more than one texel away from the samples
    that see it.
    """
    for i in range(count):
        pixel = marked[i]
        red, green, blue = 0.0, 0.0, 0.0
        for s in range(SAMPLES):
            k = seen[i, s]
            if k == -1:
                red += still[pixel * 3]
                green += still[pixel * 3 + 1]
                blue += still[pixel * 3 + 2]
                continue
            number, mx, my, first = 0, 0, 0, True
            for other in range(SAMPLES):
                if seen[i, other] == k:
                    first = first and other >= s
                    number += 1
                    mx += _OFFSETS[other, 0]
                    my += _OFFSETS[other, 1]
            if first:
                r, g, b, cover = _seen_colour(mesh, look, np.uint64(k), pixel % width, pixel // width, mx / number, my / number)
                if k < soft_from:
                    cover = 1.0
                red += number * (cover * r + (1.0 - cover) * still[pixel * 3])
                green += number * (cover * g + (1.0 - cover) * still[pixel * 3 + 1])
                blue += number * (cover * b + (1.0 - cover) * still[pixel * 3 + 2])
        rgb[pixel * 3] = _byte(red / SAMPLES)
        rgb[pixel * 3 + 1] = _byte(green / SAMPLES)
        rgb[pixel * 3 + 2] = _byte(blue / SAMPLES)


@kernel
def _seen_colour(mesh, look, k, x, y, mx, my):
    """Colour and opacity (0..1) of triangle k in pixel (x, y), where the mean of the samples that see it is (mx, my) / 256."""
    a, b, c, ax, ay, bx, by, cx, cy, area = _corners(mesh.grid, mesh.triangles, k)
    area = abs(area)
    ux, uy, vx, vy, du, dv, taps = _footprint(look.uv, a, b, c, ax, ay, bx, by, cx, cy, 256.0 / area)
    away = np.hypot(ux * mx + uy * my, vx * mx + vy * my) / 256.0
    back = 1.0 - 1.0 / away if away > 1.0 else 0.0
    px, py = (x << 8) + back * mx, (y << 8) + back * my
    w0 = ((cx - bx) * (py - by) - (cy - by) * (px - bx)) / area
    w1 = ((ax - cx) * (py - cy) - (ay - cy) * (px - cx)) / area
    red, green, blue, alpha = _colour(look, k, a, b, c, w0, w1, 1.0 - w0 - w1, du, dv, taps)
    return min(max(red, 0.0), 255.0), min(max(green, 0.0), 255.0), min(max(blue, 0.0), 255.0), alpha / 255.0


@kernel
def blend_soft(first, last, mesh, look, width, slot, near, rgb, depth):
    """Lay the partly transparent triangles `first`..`last` over the picture, in order.

    Where a pixel is marked, only the share of its samples that lie behind is
    covered; where a triangle enters what it covers, it fades. Texels more
    opaque than half hide what is drawn later behind them.
    """
    for number in range(first, last):
        k = np.uint64(number)
        a, b, c, ax, ay, bx, by, cx, cy, area = _corners(mesh.grid, mesh.triangles, k)
        if area == 0 or (area < 0 and mesh.kind[k] & 1 == 0):
            continue
        area = abs(area)
        box = mesh.kind[k] >> 4
        x0, x1 = max(mesh.clip[box, 0], (min(ax, bx, cx) + 255) >> 8), min(mesh.clip[box, 2], max(ax, bx, cx) >> 8)
        y0, y1 = max(mesh.clip[box, 1], (min(ay, by, cy) + 255) >> 8), min(mesh.clip[box, 3], max(ay, by, cy) >> 8)
        if x0 > x1 or y0 > y1:
            continue
        share = 1.0 / area
        _, _, _, _, du, dv, taps = _footprint(look.uv, a, b, c, ax, ay, bx, by, cx, cy, 256.0 * share)
        plain = taps == 1 and mesh.kind[k] & 2 == 0 and _is_plain(look, k)
        own0, own1, own2 = _owns(cx - bx, cy - by), _owns(ax - cx, ay - cy), _owns(bx - ax, by - ay)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x << 8, y << 8
                e0 = (cx - bx) * (py - by) - (cy - by) * (px - bx) - own0
                e1 = (ax - cx) * (py - cy) - (ay - cy) * (px - cx) - own1
                e2 = (bx - ax) * (py - ay) - (by - ay) * (px - ax) - own2
                if (e0 | e1 | e2) < 0:
                    continue
                w0, w1 = e0 * share, e1 * share
                w2 = 1.0 - w0 - w1
                z = w0 * mesh.near[a] + w1 * mesh.near[b] + w2 * mesh.near[c]
                pixel = y * width + x
                cover, at = 1.0, slot[pixel]
                if at >= 0:
                    cover = 0.0
                    for s in range(SAMPLES):
                        cover += min(max((z - near[at, s]) * (1.0 / _CONTACT), 0.0), 1.0) * (1.0 / SAMPLES)
                else:
                    cover = min((z - depth[pixel]) * (1.0 / _CONTACT), 1.0)
                if cover <= 0.0:
                    continue
                if plain:
                    u = w0 * look.uv[a, 0] + w1 * look.uv[b, 0] + w2 * look.uv[c, 0]
                    v = w0 * look.uv[a, 1] + w1 * look.uv[b, 1] + w2 * look.uv[c, 1]
                    red, green, blue, alpha = _channels(_texel(look, u, v))
                    lit = w0 * look.light[a] + w1 * look.light[b] + w2 * look.light[c]
                    red, green, blue = lit * red, lit * green, lit * blue
                else:
                    red, green, blue, alpha = _colour(look, k, a, b, c, w0, w1, w2, du, dv, taps)
                if alpha == 0.0:
                    continue
                if alpha > 127.0 and z > depth[pixel]:
                    depth[pixel] = z
                cover *= alpha * (1.0 / 255.0)
                at = pixel * 3
                rgb[at] = _byte(rgb[at] + cover * (red - rgb[at]))
                rgb[at + 1] = _byte(rgb[at + 1] + cover * (green - rgb[at + 1]))
                rgb[at + 2] = _byte(rgb[at + 2] + cover * (blue - rgb[at + 2]))


@kernel
def close_edges(count, marked, width, slot, tiles):
    """Forget the marked pixels: `slot` is all -1 and `tiles` all 0 again."""
    for i in range(count):
        slot[marked[i]] = -1
        tiles[marked[i] // width // TILE, marked[i] % width // TILE] = 0


@kernel
def alpha_range(triangles, uv, texels, pitch):
    """uint8[T, 2]: the least and the greatest opacity that each triangle's texels can have."""
    out = np.empty((triangles.shape[0], 2), np.uint8)
    rows = texels.shape[0] // pitch
    for k in range(triangles.shape[0]):
        a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        x0 = int(max(np.floor(min(uv[a, 0], uv[b, 0], uv[c, 0])), 0.0))
        y0 = int(max(np.floor(min(uv[a, 1], uv[b, 1], uv[c, 1])), 0.0))
        x1 = int(min(np.floor(max(uv[a, 0], uv[b, 0], uv[c, 0])) + 1.0, pitch - 1.0))
        y1 = int(min(np.floor(max(uv[a, 1], uv[b, 1], uv[c, 1])) + 1.0, rows - 1.0))
        low, high = 255, 0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                alpha = np.int64((texels[y * pitch + x] >> np.uint64(48)) & _LANE)
                low, high = min(low, alpha), max(high, alpha)
        out[k, 0], out[k, 1] = low, high
    return out
