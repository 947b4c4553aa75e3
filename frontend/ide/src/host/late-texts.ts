// A comparison of several files that was open is opened again with the page, sooner than the platform's part of it can say what a committed file has.
// The workbench would show an error for good: it waits for the part instead.

import { TextModelResolverService } from '@codingame/monaco-vscode-model-service-override/vscode/vs/workbench/services/textmodelResolver/common/textModelResolverService';

import { COMMITTED } from '../platform/project';

const LOOKS_EVERY_MS = 50;
/** A page that has not got so far by then has other troubles. */
const LOOKS_MAX = 1200;

export function awaitCommittedTexts(): void {
  const workbench = TextModelResolverService.prototype;
  const { createModelReference } = workbench;
  workbench.createModelReference = async function (resource) {
    for (let look = 0; resource.scheme === COMMITTED && look < LOOKS_MAX && !this.canHandleResource(resource); look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOKS_EVERY_MS));
    }
    return createModelReference.call(this, resource);
  };
}
