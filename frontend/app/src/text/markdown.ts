// Markdown as a tree that a page can draw. Nothing of it becomes HTML: tags stay text.

import { GFM, parser as commonmark } from '@lezer/markdown';

import type { SyntaxNode } from '@lezer/common';

export const parser = commonmark.configure(GFM);

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'break' }
  | { kind: 'strong' | 'emphasis' | 'deleted'; children: Inline[] }
  | { kind: 'link' | 'image'; target: string; children: Inline[] };

export type Block =
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'list'; ordered: boolean; items: { done: boolean | undefined; blocks: Block[] }[] }
  | { kind: 'table'; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' };

const MARKS = { StrongEmphasis: 'strong', Emphasis: 'emphasis', Strikethrough: 'deleted' } as const;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: '\u00a0', copy: '©', mdash: '—' };

function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling) found.push(child);
  return found;
}

function entity(text: string): string {
  const name = text.slice(1, -1);
  if (!name.startsWith('#')) return ENTITIES[name] ?? text;
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : text;
}

/** Reads a document into blocks. */
export function parseMarkdown(source: string): Block[] {
  const at = (node: { from: number; to: number }) => source.slice(node.from, node.to);
  const references = new Map<string, string>();

  const nodeOf = (node: SyntaxNode, name: string) => children(node).find((child) => child.name === name);

  /** The text between the marks of a node, with what lies in it. */
  function inline(node: SyntaxNode, from = node.from, to = node.to): Inline[] {
    const found: Inline[] = [];
    let here = from;
    const text = (until: number) => {
      // A line break inside a paragraph is a space; what quotes and lists begin their lines with is not text.
      const plain = source.slice(here, until).replace(/[ \t]*\n[ \t>]*/g, ' ');
      if (plain !== '') found.push({ kind: 'text', text: plain });
    };
    for (const child of children(node)) {
      if (child.from < from || child.to > to) continue;
      text(child.from);
      here = child.to;
      const one = inlineOf(child);
      if (one) found.push(one);
    }
    text(to);
    return found;
  }

  function inlineOf(node: SyntaxNode): Inline | undefined {
    switch (node.name) {
      case 'StrongEmphasis':
      case 'Emphasis':
      case 'Strikethrough':
        return { kind: MARKS[node.name], children: between(node) };
      case 'InlineCode':
        return { kind: 'code', text: at(node).replace(/^`+ ?| ?`+$/g, '') };
      case 'HardBreak':
        return { kind: 'break' };
      case 'Escape':
        return { kind: 'text', text: at(node).slice(1) };
      case 'Entity':
        return { kind: 'text', text: entity(at(node)) };
      case 'Autolink':
        return linkTo(at(node).slice(1, -1));
      case 'URL':
        return linkTo(at(node));
      case 'Link':
      case 'Image':
        return link(node);
      case 'HTMLTag':
        return /^<br\s*\/?>$/i.test(at(node)) ? { kind: 'break' } : undefined;
      case 'Comment':
        return undefined;
      default:
        return node.name.endsWith('Mark') ? undefined : { kind: 'text', text: at(node) };
    }
  }

  const linkTo = (target: string): Inline => ({ kind: 'link', target, children: [{ kind: 'text', text: target }] });

  /** What lies between the first and the last mark. */
  function between(node: SyntaxNode): Inline[] {
    const marks = children(node).filter((child) => child.name.endsWith('Mark'));
    return inline(node, marks[0]?.to ?? node.from, marks.at(-1)?.from ?? node.to);
  }

  function link(node: SyntaxNode): Inline {
    const marks = children(node).filter((child) => child.name === 'LinkMark');
    const label = { from: marks[0]?.to ?? node.from, to: marks[1]?.from ?? node.to };
    const url = nodeOf(node, 'URL');
    const reference = nodeOf(node, 'LinkLabel');
    const name = (reference ? at(reference).slice(1, -1) : '') || at(label);
    const target = url ? at(url).replace(/^<|>$/g, '') : (references.get(name.toLowerCase()) ?? '');
    const kind = node.name === 'Image' ? 'image' : 'link';
    return { kind, target, children: inline(node, label.from, label.to) };
  }

  function blocks(node: SyntaxNode): Block[] {
    return children(node)
      .map(block)
      .filter((one) => one !== undefined);
  }

  function block(node: SyntaxNode): Block | undefined {
    const heading = /^(?:ATX|Setext)Heading(\d)$/.exec(node.name);
    if (heading) {
      const mark = children(node).filter((child) => child.name === 'HeaderMark');
      const atx = node.name.startsWith('ATX');
      const from = atx ? (mark[0]?.to ?? node.from) : node.from;
      const to = atx ? (mark[1]?.from ?? node.to) : (mark[0]?.from ?? node.to);
      return { kind: 'heading', level: Number(heading[1]), children: trimmed(inline(node, from, to)) };
    }
    switch (node.name) {
      case 'Paragraph':
        return { kind: 'paragraph', children: trimmed(inline(node)) };
      case 'Task':
        return { kind: 'paragraph', children: trimmed(inline(node, nodeOf(node, 'TaskMarker')?.to)) };
      case 'FencedCode': {
        const info = nodeOf(node, 'CodeInfo');
        return { kind: 'code', language: info ? at(info) : '', text: codeOf(node) };
      }
      case 'CodeBlock':
        return { kind: 'code', language: '', text: codeOf(node) };
      case 'Blockquote':
        return { kind: 'quote', blocks: blocks(node) };
      case 'BulletList':
      case 'OrderedList':
        return { kind: 'list', ordered: node.name === 'OrderedList', items: children(node).map(item) };
      case 'Table':
        return table(node);
      case 'HorizontalRule':
        return { kind: 'rule' };
      default:
        return undefined;
    }
  }

  const codeOf = (node: SyntaxNode) =>
    children(node)
      .filter((child) => child.name === 'CodeText')
      .map(at)
      .join('');

  function item(node: SyntaxNode) {
    const task = nodeOf(node, 'Task');
    const marker = task && nodeOf(task, 'TaskMarker');
    return { done: marker ? /x/i.test(at(marker)) : undefined, blocks: blocks(node) };
  }

  function table(node: SyntaxNode): Block {
    const cells = (row: SyntaxNode) =>
      children(row)
        .filter((child) => child.name === 'TableCell')
        .map((cell) => inline(cell));
    const head = nodeOf(node, 'TableHeader');
    const rows = children(node).filter((child) => child.name === 'TableRow');
    return { kind: 'table', head: head ? cells(head) : [], rows: rows.map(cells) };
  }

  const top = parser.parse(source).topNode;
  for (const node of children(top)) {
    const label = node.name === 'LinkReference' ? nodeOf(node, 'LinkLabel') : undefined;
    const url = nodeOf(node, 'URL');
    if (label && url) references.set(at(label).slice(1, -1).toLowerCase(), at(url));
  }
  return blocks(top);
}

/** Without space at its ends. */
function trimmed(found: Inline[]): Inline[] {
  return found
    .map((one, index): Inline => {
      if (one.kind !== 'text') return one;
      const start = index === 0 ? one.text.trimStart() : one.text;
      return { kind: 'text', text: index === found.length - 1 ? start.trimEnd() : start };
    })
    .filter((one) => one.kind !== 'text' || one.text !== '');
}
