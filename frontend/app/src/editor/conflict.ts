// A file in conflict: what we have and what comes, each against what both began with, and the result between them.

import { unifiedMergeView } from '@codemirror/merge';
import { type EditorState, type Extension, RangeSetBuilder, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, WidgetType } from '@codemirror/view';

import { type Choice, chosen, type Conflict, conflictsOf } from '../text/conflicts';
import { setup } from './setup';

export interface ConflictSettings {
  path: string;
  ours: { parent: HTMLElement; text: string; label: string };
  theirs: { parent: HTMLElement; text: string; label: string };
  result: { parent: HTMLElement; text: string; label: string };
  base: string;
  /** Words of the buttons above each conflict. */
  words: Record<Choice, string>;
  /** The result, and how many conflicts are left in it. */
  onChange: (text: string, left: number) => void;
}

class Buttons extends WidgetType {
  constructor(
    private readonly index: number,
    private readonly words: Record<Choice, string>,
  ) {
    super();
  }

  override eq(other: Buttons): boolean {
    return other.index === this.index;
  }

  override toDOM(view: EditorView): HTMLElement {
    const bar = document.createElement('div');
    bar.className = 'conflict-bar';
    for (const choice of ['ours', 'theirs', 'both'] as const) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = this.words[choice];
      button.onclick = () => settle(view, this.index, choice);
      bar.append(button);
    }
    return bar;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

function settle(view: EditorView, index: number, choice: Choice): void {
  const text = view.state.doc.toString();
  const conflict = conflictsOf(text)[index];
  if (!conflict) return;
  view.dispatch({
    changes: { from: conflict.from, to: conflict.to, insert: chosen(text, conflict, choice) },
    selection: { anchor: conflict.from },
    scrollIntoView: true,
    userEvent: 'input.resolve',
  });
  view.focus();
}

const SIDES = { ours: 'conflict-ours', base: 'conflict-base', theirs: 'conflict-theirs' } as const;

function marked(state: EditorState, words: Record<Choice, string>): { list: Conflict[]; drawn: DecorationSet } {
  const list = conflictsOf(state.doc.toString());
  const builder = new RangeSetBuilder<Decoration>();
  list.forEach((conflict, index) => {
    builder.add(conflict.from, conflict.from, Decoration.widget({ widget: new Buttons(index, words), block: true, side: -1 }));
    for (const side of ['ours', 'base', 'theirs'] as const) {
      const part = conflict[side];
      for (let at = part?.from ?? 0; part && at < part.to; at = state.doc.lineAt(at).to + 1) {
        builder.add(at, at, Decoration.line({ class: SIDES[side] }));
      }
    }
  });
  return { list, drawn: builder.finish() };
}

function conflicts(words: Record<Choice, string>): Extension {
  return StateField.define<DecorationSet>({
    create: (state) => marked(state, words).drawn,
    update: (drawn, change) => (change.docChanged ? marked(change.state, words).drawn : drawn),
    provide: (field) => EditorView.decorations.from(field),
  });
}

/** Opens the three editors; the answer closes them. */
export async function createConflict(settings: ConflictSettings): Promise<() => void> {
  const { path, base, words, onChange } = settings;
  const compared = unifiedMergeView({ original: base, mergeControls: false, collapseUnchanged: { margin: 3, minSize: 8 } });
  const side = async ({ parent, text, label }: ConflictSettings['ours']) =>
    new EditorView({ parent, doc: text, extensions: [await setup(path, label, false), compared] });
  const result = new EditorView({
    parent: settings.result.parent,
    doc: settings.result.text,
    extensions: [
      await setup(path, settings.result.label, true),
      conflicts(words),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        const text = update.state.doc.toString();
        onChange(text, conflictsOf(text).length);
      }),
    ],
  });
  const views = [await side(settings.ours), await side(settings.theirs), result];
  return () => {
    for (const view of views) view.destroy();
  };
}
