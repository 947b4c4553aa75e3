// The language of a file, fetched when the first file of it is opened. Stream parsers colour a file for a tenth of the
// weight of grammars that a full editor needs: that editor is the IDE.

import { defineLanguageFacet, Language, type StreamParser, StreamLanguage } from '@codemirror/language';

type Load = () => Promise<Language>;

const stream =
  <State>(load: () => Promise<StreamParser<State>>): Load =>
  async () =>
    StreamLanguage.define(await load());

const javascript = stream(async () => (await import('@codemirror/legacy-modes/mode/javascript')).javascript);
const typescript = stream(async () => (await import('@codemirror/legacy-modes/mode/javascript')).typescript);
const json = stream(async () => (await import('@codemirror/legacy-modes/mode/javascript')).json);
const html = stream(async () => (await import('@codemirror/legacy-modes/mode/xml')).html);
const xml = stream(async () => (await import('@codemirror/legacy-modes/mode/xml')).xml);
const yaml = stream(async () => (await import('@codemirror/legacy-modes/mode/yaml')).yaml);
const python = stream(async () => (await import('@codemirror/legacy-modes/mode/python')).python);
const css = stream(async () => (await import('@codemirror/legacy-modes/mode/css')).css);
const shell = stream(async () => (await import('@codemirror/legacy-modes/mode/shell')).shell);
const toml = stream(async () => (await import('@codemirror/legacy-modes/mode/toml')).toml);
const rust = stream(async () => (await import('@codemirror/legacy-modes/mode/rust')).rust);
const go = stream(async () => (await import('@codemirror/legacy-modes/mode/go')).go);
const java = stream(async () => (await import('@codemirror/legacy-modes/mode/clike')).java);
const dockerfile = stream(async () => (await import('@codemirror/legacy-modes/mode/dockerfile')).dockerFile);

async function markdown(): Promise<Language> {
  const { parser } = await import('../text/markdown');
  return new Language(defineLanguageFacet(), parser, [], 'markdown');
}

const BY_EXTENSION: Record<string, Load> = {
  js: javascript,
  mjs: javascript,
  cjs: javascript,
  jsx: javascript,
  ts: typescript,
  tsx: typescript,
  json,
  html,
  htm: html,
  xml,
  svg: xml,
  yaml,
  yml: yaml,
  py: python,
  css,
  sh: shell,
  toml,
  rs: rust,
  go,
  java,
  dockerfile,
  md: markdown,
};

export async function languageOf(path: string): Promise<Language | undefined> {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  return BY_EXTENSION[name.slice(name.lastIndexOf('.') + 1)]?.();
}
