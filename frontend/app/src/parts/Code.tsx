import type { EditorView } from '@codemirror/view';
import { useEffect, useRef, useState } from 'preact/hooks';

import { Waiting } from './Waiting';

export interface CodeProps {
  /** Decides the language. */
  path: string;
  /** The text at first; a new `path` brings a new editor. */
  text: string;
  label: string;
  /** Brought into view, each time that it is another object; counted from 1. */
  at?: { line: number } | undefined;
  onChange?: (text: string) => void;
  onSave?: () => void;
}

/** A code editor; read-only without `onChange`. It is fetched when it is first shown. */
export function Code({ path, text, label, at, onChange, onSave }: CodeProps) {
  const element = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView | undefined>(undefined);
  const handlers = useRef({ onChange, onSave });
  handlers.current = { onChange, onSave };
  const [ready, setReady] = useState(false);
  const editable = onChange !== undefined;
  useEffect(() => {
    let gone = false;
    void import('../editor/create').then(async ({ createEditor }) => {
      const parent = element.current;
      if (gone || !parent) return;
      const created = await createEditor({
        parent,
        path,
        text,
        label,
        editable,
        onChange: (changed) => handlers.current.onChange?.(changed),
        onSave: () => handlers.current.onSave?.(),
      });
      if (gone) created.destroy();
      else {
        editor.current = created;
        setReady(true);
      }
    });
    return () => {
      gone = true;
      editor.current?.destroy();
      editor.current = undefined;
      setReady(false);
    };
    // The text is the editor's own once it is open.
  }, [path, editable]);
  useEffect(() => {
    if (!ready || !at) return;
    void import('../editor/create').then(({ reveal }) => {
      if (editor.current) reveal(editor.current, at.line);
    });
  }, [ready, at]);
  return (
    <div class="code-editor">
      {!ready && <Waiting />}
      <div ref={element} />
    </div>
  );
}
