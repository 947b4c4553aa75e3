// The editor of one file.

import { EditorView, keymap } from '@codemirror/view';

import { setup } from './setup';

export interface EditorSettings {
  parent: HTMLElement;
  path: string;
  text: string;
  label: string;
  editable: boolean;
  onChange: (text: string) => void;
  onSave: () => void;
}

export async function createEditor(settings: EditorSettings): Promise<EditorView> {
  const { parent, path, text, label, editable, onChange, onSave } = settings;
  const save = () => {
    onSave();
    return true;
  };
  return new EditorView({
    parent,
    doc: text,
    extensions: [
      keymap.of([{ key: 'Mod-s', run: save, preventDefault: true }]),
      ...(await setup(path, label, editable)),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) onChange(update.state.doc.toString());
      }),
    ],
  });
}

/** Brings a line into view and the cursor to it; counted from 1. */
export function reveal(view: EditorView, line: number): void {
  const at = view.state.doc.line(Math.min(line, view.state.doc.lines)).from;
  view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
  view.focus();
}
