// What every editor of these pages has. Completion and checks are the IDE's.

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from '@codemirror/language';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, type Extension } from '@codemirror/state';
import {
  crosshairCursor,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  rectangularSelection,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';

import { languageOf } from './language';

// The colours are the page's own, so that they follow its theme and keep their contrast.
const colours = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--code-keyword)' },
    { tag: [tags.string, tags.special(tags.string), tags.regexp, tags.monospace], color: 'var(--code-string)' },
    { tag: [tags.comment, tags.meta, tags.processingInstruction], color: 'var(--code-comment)' },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
    {
      tag: [tags.propertyName, tags.attributeName, tags.definition(tags.propertyName), tags.definition(tags.variableName)],
      color: 'var(--code-name)',
    },
    { tag: [tags.typeName, tags.className, tags.tagName, tags.heading], color: 'var(--code-type)' },
    { tag: [tags.heading, tags.strong], fontWeight: 'bold' },
    { tag: tags.emphasis, fontStyle: 'italic' },
    { tag: [tags.link, tags.url], color: 'var(--accent)' },
  ]),
);

const look = EditorView.theme({
  '&': { backgroundColor: 'var(--paper)', color: 'var(--ink)', fontSize: '13px' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--paper)', color: 'var(--quiet)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '&.cm-focused .cm-cursor': { borderLeftColor: 'var(--ink)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--selection) !important' },
  '.cm-selectionMatch': { backgroundColor: 'var(--selection)' },
  '.cm-panels': { backgroundColor: 'var(--hover)', color: 'var(--ink)' },
});

const editing: Extension = [history(), dropCursor(), indentOnInput(), rectangularSelection(), crosshairCursor()];

/** An editor's extensions: the language of `path`, the page's colours, and the keys people know. */
export async function setup(path: string, label: string, editable: boolean): Promise<Extension[]> {
  const language = await languageOf(path);
  return [
    lineNumbers(),
    highlightSpecialChars(),
    drawSelection(),
    EditorState.allowMultipleSelections.of(true),
    bracketMatching(),
    highlightSelectionMatches(),
    search({ top: true }),
    indentUnit.of('  '),
    ...(editable ? [editing, highlightActiveLine(), highlightActiveLineGutter()] : []),
    // Tab indents; Escape first lets it move the focus (WCAG 2.1.2).
    keymap.of([...defaultKeymap, ...searchKeymap, ...(editable ? [...historyKeymap, indentWithTab] : [])]),
    colours,
    look,
    EditorView.lineWrapping,
    EditorState.readOnly.of(!editable),
    EditorView.contentAttributes.of({ 'aria-label': label, ...(editable ? {} : { tabindex: '0' }) }),
    ...(language ? [language] : []),
  ];
}
