// Suite `camera`: a person drawn into a canvas is the camera; what comes back is noted.
// T0 is when a turned head is drawn, T11 the `expectedDisplayTime` of each picture; both of this page's clock.
window.bench = {
  flips: [], frames: [], errors: [], status: null, sample: false, side: 48,

  async start(wanted, heads, fps) {
    const camera = document.createElement("canvas");
    [camera.width, camera.height] = [640, 480];
    const pen = camera.getContext("2d");
    const bitmaps = await Promise.all(heads.map((head) => {
      const bytes = Uint8Array.from(atob(head), (c) => c.charCodeAt(0));
      return createImageBitmap(new Blob([bytes], {type: "image/jpeg"}));
    }));
    const headers = {"content-type": "application/json"};
    const opened = await (await fetch("/api/sessions", {method: "POST", headers, body: JSON.stringify(wanted)})).json();
    if (!opened.id) throw new Error(opened.error);
    const session = opened.id;
    this.resume = opened.resume;
    await this.talk(session);
    let shown = 0, next = performance.now() + 4000, noise = 0;
    const draw = () => {
      const now = performance.now();
      if (now >= next) {
        shown = 1 - shown;
        next = now + 1600 + 800 * Math.random();
        bench.flips.push([now, shown]);
      }
      pen.drawImage(bitmaps[shown], 0, 0);
      pen.fillStyle = `rgb(${noise = (noise + 37) % 251}, 90, 90)`;  // a camera is never still
      pen.fillRect(0, 0, 4, 4);
    };
    draw();
    setInterval(draw, 1000 / fps);
    await this.post("whip", session, (pc) => {
      const stream = camera.captureStream(fps);
      pc.addTransceiver(stream.getVideoTracks()[0], {direction: "sendonly", streams: [stream]});
      bench.up = pc;
    });
    await this.post("whep", session, (pc) => {
      pc.addTransceiver("audio", {direction: "recvonly"});
      pc.addTransceiver("video", {direction: "recvonly"});
      pc.ontrack = (event) => event.track.kind === "video" && bench.watch(event.track);
    });
  },

  async admitted(session, scope) {
    const headers = {"content-type": "application/json", authorization: `Bearer ${this.resume}`};
    const asked = {method: "POST", headers, body: JSON.stringify({session, scopes: [scope]})};
    return (await (await fetch("/api/admissions", asked)).json()).admission;
  },

  async post(way, session, prepare) {
    const pc = new RTCPeerConnection();
    (this.peers ??= []).push(pc);
    prepare(pc);
    await pc.setLocalDescription(await pc.createOffer());
    const admission = await this.admitted(session, way === "whip" ? "speak" : "watch");
    const headers = {"content-type": "application/sdp", authorization: `Bearer ${admission}`};
    const answer = await fetch(`/${way}/${session}`, {method: "POST", headers, body: pc.localDescription.sdp});
    if (answer.status !== 201) throw new Error(await answer.text());
    await pc.setRemoteDescription({type: "answer", sdp: await answer.text()});
  },

  talk(session) {
    const socket = new WebSocket(`ws://${location.host}/api/sessions/${session}/events`);
    this.socket = socket;
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.error) bench.errors.push(message.error);
      if (message.status) {
        bench.status = message.status;
        if (bench.sample && !message.status.speaking) socket.send(JSON.stringify({sample: true}));
      }
    };
    return new Promise((resolve) => socket.onopen = () => {
      socket.send(JSON.stringify({control: {idle: false}}));
      resolve();
    });
  },

  watch(track) {
    const video = document.createElement("video");
    [video.muted, video.autoplay, video.playsInline] = [true, true, true];
    video.srcObject = new MediaStream([track]);
    document.body.append(video);
    const side = this.side, pen = new OffscreenCanvas(side, side).getContext("2d", {willReadFrequently: true});
    const note = (now, meta) => {
      pen.drawImage(video, 0, 0, side, side);
      const pixels = pen.getImageData(0, 0, side, side).data, grey = new Array(side * side);
      for (let i = 0; i < grey.length; i++) grey[i] = pixels[4 * i + 1];
      bench.frames.push([meta.expectedDisplayTime, grey]);
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    video.play();
  },

  async sent() {
    const found = {};
    (await this.up.getStats()).forEach((s) => {
      if (s.type === "outbound-rtp") Object.assign(found, {bytes: s.bytesSent, frames: s.framesEncoded, encodeS: s.totalEncodeTime,
        width: s.frameWidth, limited: s.qualityLimitationReason, pli: s.pliCount, nack: s.nackCount, at: s.timestamp});
      if (s.type === "codec") found.codec = s.mimeType;
    });
    return found;
  },
};
