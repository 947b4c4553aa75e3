// Two versions of a file beside each other.

import { MergeView } from '@codemirror/merge';

import { setup } from './setup';

/** The left is fixed, the right is edited. */
export async function createMerge(
  parent: HTMLElement,
  path: string,
  stored: { text: string; label: string },
  mine: { text: string; label: string },
): Promise<MergeView> {
  return new MergeView({
    parent,
    a: { doc: stored.text, extensions: await setup(path, stored.label, false) },
    b: { doc: mine.text, extensions: await setup(path, mine.label, true) },
    revertControls: 'a-to-b',
    collapseUnchanged: { margin: 3, minSize: 6 },
  });
}

/** Both are only looked at. */
export async function createComparison(
  parent: HTMLElement,
  path: string,
  left: { text: string; label: string },
  right: { text: string; label: string },
): Promise<MergeView> {
  return new MergeView({
    parent,
    a: { doc: left.text, extensions: await setup(path, left.label, false) },
    b: { doc: right.text, extensions: await setup(path, right.label, false) },
    collapseUnchanged: { margin: 3, minSize: 6 },
  });
}
