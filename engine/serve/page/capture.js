/** The microphone as blocks of float32 samples, and a recording of it as a WAV file. */

const KEPT_SECONDS = 900;

/** The reason for which a browser gives no microphone. */
export class NoMicrophone extends Error {
  /** @param {"insecure"|"denied"|"missing"|"busy"} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** True if this page may ask for the microphone: over HTTPS, or from this machine itself. */
export const mayRecord = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

/** A microphone that is on. */
export class Capture {
  /**
   * Switch the microphone on.
   * @param {(block: Float32Array, rate: number) => void} take gets each block of samples.
   * @throws {NoMicrophone}
   */
  static async open(take) {
    if (!mayRecord()) throw new NoMicrophone("insecure");
    const capture = new Capture();
    try {
      // The level of a voice is part of its emotion: nothing may even it out.
      const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      capture.stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      const reasons = { NotAllowedError: "denied", NotFoundError: "missing" };
      throw new NoMicrophone(reasons[error.name] ?? "busy");
    }
    await capture.#listen(take);
    return capture;
  }

  async #listen(take) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    this.blocks = [];
    this.node = new AudioWorkletNode(this.context, "collector", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => {
      this.#keep(data);
      take(data, this.rate);
    };
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    await this.context.resume();
  }

  /** Samples per second. */
  get rate() {
    return this.context.sampleRate;
  }

  #keep(block) {
    this.blocks.push(Int16Array.from(block, (sample) => Math.max(-1, Math.min(1, sample)) * 32767));
    if (this.blocks.length * block.length > KEPT_SECONDS * this.rate) this.blocks.shift();
  }

  /** Switch the microphone off. */
  async close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.node.port.onmessage = null;
    await this.context.close();
  }

  /** What was heard, its last quarter of an hour, as a WAV file; null if that is nothing. */
  file(name) {
    if (!this.blocks.length) return null;
    const samples = this.blocks.reduce((sum, block) => sum + block.length, 0);
    return new File([wavHead(samples, this.rate), ...this.blocks], name, { type: "audio/wav" });
  }
}

/** The first 44 bytes of a WAV file of 16 bits, mono. */
function wavHead(samples, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples, true);
  return view.buffer;
}
