// What the platform says inside the workbench, in English and Korean. The compiler says which one lacks a text.

const en = {
  opening: 'Opening {project}…',
  failed: 'The project could not be opened: {reason}',
  signIn: 'Sign in',
  noProject: 'No project is named in the address.',
  projects: 'Projects',
  changes: 'Changes',
  commitMessage: 'Message (Ctrl+Enter commits to {branch})',
  messageMissing: 'Write a message for the commit first.',
  nothingToCommit: 'There is nothing to commit.',
  committed: 'Committed {id}: {subject}',
  unsaved: 'Save or discard what is being edited before you commit.',
  discardAsk: 'Discard your draft of {path}? The file goes back to the branch’s version.',
  discard: 'Discard',
  deleteAsk: 'Delete {path} on {branch}? It is one commit.',
  moved: 'Move {from} to {to}',
  deleted: 'Delete {path}',
  pushed: '{name} moved {branch}. The files are up to date now.',
  building: 'Building {branch}…',
  deploying: 'Deploying {branch} to {environment}…',
  cancelJob: 'Cancel',
  jobSucceeded: '{kind} succeeded.',
  jobFailed: '{kind} failed: {reason}',
  jobEnded: '{kind} ended: {state}.',
  openSite: 'Open site',
  showLog: 'Show log',
  chooseEnvironment: 'Deploy to which environment?',
  chooseFunction: 'Which function?',
  chooseEvent: 'Which event?',
  chooseBranch: 'Switch to which branch?',
  newBranch: 'New branch…',
  newBranchName: 'Name of the new branch, from {branch}',
  notDeployed: 'Nothing is deployed yet: deploy first.',
  editorEvent: 'The active editor',
  invoking: 'Calling {function}…',
  functionFailed: '{function} failed: {error}',
  colleague: '{name} has a draft of this file as well.',
  offline: 'The platform cannot be reached. What you type is kept and saved when it is back.',
} as const;

type Key = keyof typeof en;

const ko: Record<Key, string> = {
  opening: '{project} 여는 중…',
  failed: '프로젝트를 열지 못했습니다: {reason}',
  signIn: '로그인',
  noProject: '주소에 프로젝트가 없습니다.',
  projects: '프로젝트',
  changes: '변경 사항',
  commitMessage: '메시지 (Ctrl+Enter로 {branch}에 커밋)',
  messageMissing: '먼저 커밋 메시지를 쓰세요.',
  nothingToCommit: '커밋할 것이 없습니다.',
  committed: '{id} 커밋됨: {subject}',
  unsaved: '커밋하기 전에 편집 중인 내용을 저장하거나 버리세요.',
  discardAsk: '{path}의 초안을 버릴까요? 파일이 브랜치의 내용으로 돌아갑니다.',
  discard: '버리기',
  deleteAsk: '{branch}에서 {path}을(를) 삭제할까요? 커밋 하나가 만들어집니다.',
  moved: '{from}을(를) {to}(으)로 이동',
  deleted: '{path} 삭제',
  pushed: '{name}님이 {branch}을(를) 옮겼습니다. 파일이 최신 상태입니다.',
  building: '{branch} 빌드 중…',
  deploying: '{branch}을(를) {environment}에 배포 중…',
  cancelJob: '취소',
  jobSucceeded: '{kind} 성공.',
  jobFailed: '{kind} 실패: {reason}',
  jobEnded: '{kind} 끝남: {state}.',
  openSite: '사이트 열기',
  showLog: '로그 보기',
  chooseEnvironment: '어느 환경에 배포할까요?',
  chooseFunction: '어느 함수인가요?',
  chooseEvent: '어느 이벤트인가요?',
  chooseBranch: '어느 브랜치로 바꿀까요?',
  newBranch: '새 브랜치…',
  newBranchName: '{branch}에서 만들 새 브랜치 이름',
  notDeployed: '아직 배포된 것이 없습니다. 먼저 배포하세요.',
  editorEvent: '활성 편집기',
  invoking: '{function} 호출 중…',
  functionFailed: '{function} 실패: {error}',
  colleague: '{name}님도 이 파일의 초안을 가지고 있습니다.',
  offline: '플랫폼에 연결할 수 없습니다. 입력한 내용은 보관되며 다시 연결되면 저장됩니다.',
};

/** The person's choice on the other pages; else the browser's language. */
export function chosenLanguage(): 'en' | 'ko' {
  const stored = localStorage.getItem('workroom.language');
  if (stored === 'en' || stored === 'ko') return stored;
  return navigator.language.startsWith('ko') ? 'ko' : 'en';
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = (chosenLanguage() === 'ko' ? ko : en)[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}
