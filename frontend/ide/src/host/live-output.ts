// Logs are followed live in the Output panel. The workbench looks twice a second whether an output's file has grown, and waits until
// it has been quiet for 300 ms before it shows what came: lines are late, and a log that never rests is later still. Here it looks
// more often, and the first line that waits sets the time for all that come with it.

import { AbstractFileOutputChannelModel } from '@codingame/monaco-vscode-output-service-override/vscode/vs/workbench/contrib/output/common/outputChannelModel';

const LOOKS_EVERY_MS = 80;
const SHOWN_AFTER_MS = 20;

interface Delayer {
  isTriggered(): boolean;
  delayer: { defaultDelay: number };
}

/** The parts of the workbench's class that look at the file and append what is new in it. */
interface Output {
  appendThrottler: Delayer;
  /** An output of several files has no such pace. */
  outputContentProvider: { syncDelayer?: Delayer };
  loadModel(): Promise<unknown>;
  appendContent(model: unknown, immediate: boolean, token: unknown): void;
}

export function showOutputAtOnce(): void {
  const workbench = AbstractFileOutputChannelModel.prototype as unknown as Output;
  const { loadModel, appendContent } = workbench;
  workbench.loadModel = function () {
    this.appendThrottler.delayer.defaultDelay = SHOWN_AFTER_MS;
    const looks = this.outputContentProvider.syncDelayer;
    if (looks) looks.delayer.defaultDelay = LOOKS_EVERY_MS;
    return loadModel.call(this);
  };
  workbench.appendContent = function (model, immediate, token) {
    // Whoever waits already reads up to the end.
    if (immediate || !this.appendThrottler.isTriggered()) appendContent.call(this, model, immediate, token);
  };
}
