// The CodeMirror editor of these pages.

import { indentWithTab } from '@codemirror/commands';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { MergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { basicSetup } from 'codemirror';

import { languageOf } from './language';

export interface EditorSettings {
  parent: HTMLElement;
  path: string;
  text: string;
  label: string;
  editable: boolean;
  onChange: (text: string) => void;
  onSave: () => void;
}

// The colours are the page's own, so that they follow its theme and keep their contrast.
const colours = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--code-keyword)' },
    { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--code-string)' },
    { tag: [tags.comment, tags.meta], color: 'var(--code-comment)' },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
    { tag: [tags.propertyName, tags.attributeName, tags.definition(tags.propertyName)], color: 'var(--code-name)' },
    { tag: [tags.typeName, tags.className, tags.tagName, tags.heading], color: 'var(--code-type)' },
    { tag: tags.heading, fontWeight: 'bold' },
  ]),
);

const look = EditorView.theme({
  '&': { backgroundColor: 'var(--paper)', color: 'var(--ink)', fontSize: '13px' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--paper)', color: 'var(--quiet)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '&.cm-focused .cm-cursor': { borderLeftColor: 'var(--ink)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--selection) !important' },
  '.cm-panels': { backgroundColor: 'var(--hover)', color: 'var(--ink)' },
});

async function extensions(path: string, label: string, editable: boolean): Promise<Extension[]> {
  const language = await languageOf(path);
  return [
    basicSetup,
    colours,
    look,
    EditorView.lineWrapping,
    EditorState.readOnly.of(!editable),
    EditorView.contentAttributes.of({ 'aria-label': label, ...(editable ? {} : { tabindex: '0' }) }),
    ...(language ? [language] : []),
  ];
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
      // Tab indents; Escape first lets it move the focus (WCAG 2.1.2).
      keymap.of([{ key: 'Mod-s', run: save, preventDefault: true }, indentWithTab]),
      ...(await extensions(path, label, editable)),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) onChange(update.state.doc.toString());
      }),
    ],
  });
}

/** Two versions side by side: the left is fixed, the right is edited. */
export async function createMerge(
  parent: HTMLElement,
  path: string,
  stored: { text: string; label: string },
  mine: { text: string; label: string },
): Promise<MergeView> {
  return new MergeView({
    parent,
    a: { doc: stored.text, extensions: await extensions(path, stored.label, false) },
    b: { doc: mine.text, extensions: await extensions(path, mine.label, true) },
    revertControls: 'a-to-b',
    collapseUnchanged: { margin: 3, minSize: 6 },
  });
}
