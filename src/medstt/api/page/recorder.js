// Records from the microphone. Knows nothing of uploads.
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

export class Recorder {
  async start(level) {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
    });
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    this.recorder = new MediaRecorder(this.stream, type ? { mimeType: type, audioBitsPerSecond: 48000 } : {});
    this.parts = [];
    this.recorder.ondataavailable = (event) => event.data.size && this.parts.push(event.data);
    this.recorder.start(1000);
    this.spentMs = 0;
    this.since = performance.now();
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(this.stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = () => {
      if (this.context.state === "closed") return;
      analyser.getFloatTimeDomainData(samples);
      level(Math.min(1, 4 * Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length)));
      requestAnimationFrame(measure);
    };
    measure();
  }

  get paused() {
    return this.recorder.state === "paused";
  }

  get elapsedMs() {
    return this.spentMs + (this.paused ? 0 : performance.now() - this.since);
  }

  toggle() {
    if (this.paused) {
      this.recorder.resume();
      this.since = performance.now();
    } else {
      this.spentMs = this.elapsedMs;
      this.recorder.pause();
    }
  }

  stop() {
    return new Promise((resolve) => {
      this.recorder.onstop = () => {
        for (const track of this.stream.getTracks()) track.stop();
        this.context.close();
        resolve(new Blob(this.parts, { type: this.recorder.mimeType }));
      };
      this.recorder.stop();
    });
  }
}
